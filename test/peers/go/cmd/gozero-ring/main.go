// gozero-ring prints which node go-zero's ring gives to each key: its arguments are the nodes, the keys come on stdin, a line each.
package main

import (
	"bufio"
	"fmt"
	"os"

	"github.com/zeromicro/go-zero/core/hash"
)

func main() {
	ring := hash.NewConsistentHash()
	for _, node := range os.Args[1:] {
		ring.Add(node)
	}
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		node, ok := ring.Get(in.Text())
		if !ok {
			fmt.Fprintln(os.Stderr, "gozero-ring: no nodes")
			os.Exit(2)
		}
		fmt.Fprintln(out, node)
	}
}
