package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protodelim"
	"google.golang.org/protobuf/proto"

	"bowline.example/peers/gen/benchv1"
)

// Call makes call number n on a connection and says what is wrong with its answer.
type Call func(ctx context.Context, conn grpc.ClientConnInterface, n uint64) error

// Calls returns the calls of a kind of message, "tiny" or "order". Their requests are read from a file in which each message follows its
// length, and are sent in turns.
func Calls(kind, path string) (Call, error) {
	switch kind {
	case "tiny":
		requests, err := read(path, func() *benchv1.Tiny { return &benchv1.Tiny{} })
		return func(ctx context.Context, conn grpc.ClientConnInterface, n uint64) error {
			in := requests[n%uint64(len(requests))]
			out, err := benchv1.NewBenchClient(conn).EchoTiny(ctx, in)
			if err == nil && out.GetAge() != in.GetAge()+1 {
				err = fmt.Errorf("answer is %d years old, want %d", out.GetAge(), in.GetAge()+1)
			}
			return err
		}, err
	case "order":
		requests, err := read(path, func() *benchv1.Order { return &benchv1.Order{} })
		return func(ctx context.Context, conn grpc.ClientConnInterface, n uint64) error {
			in := requests[n%uint64(len(requests))]
			out, err := benchv1.NewBenchClient(conn).EchoOrder(ctx, in)
			if err == nil && (out.GetStatus() != benchv1.OrderStatus_ORDER_STATUS_PAID || len(out.GetLines()) != len(in.GetLines())) {
				err = fmt.Errorf("answer has status %s and %d lines", out.GetStatus(), len(out.GetLines()))
			}
			return err
		}, err
	}
	return nil, fmt.Errorf("-message %s: want tiny or order", kind)
}

// read reads all messages of a file.
func read[M proto.Message](path string, empty func() M) (messages []M, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("-requests: %w", err)
	}
	defer file.Close()
	for reader := bufio.NewReader(file); ; {
		message := empty()
		if err := protodelim.UnmarshalFrom(reader, message); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, fmt.Errorf("-requests %s: %w", path, err)
		}
		messages = append(messages, message)
	}
	if len(messages) == 0 {
		return nil, fmt.Errorf("-requests %s: no messages in it", path)
	}
	return messages, nil
}
