package load

import (
	"context"
	"errors"
	"fmt"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding/gzip"

	"bowline.example/peers/gen/peerv1"
)

const (
	methodUnary        = "unary"
	methodServerStream = "serverStream"
	methodBidi         = "bidi"
)

func (p *Plan) checkMethod() error {
	switch p.Method {
	case methodUnary, methodServerStream, methodBidi:
		if p.Compression != "" && p.Compression != gzip.Name {
			return fmt.Errorf("-compression %s: want gzip", p.Compression)
		}
		return nil
	}
	return fmt.Errorf("-method %s: want unary, serverStream or bidi", p.Method)
}

// newCall returns what one worker does again and again: call number n, which gives the server that answered, if it says.
func (r *run) newCall(conn grpc.ClientConnInterface) func(n uint64) (server string, err error) {
	if r.plan.typed != nil {
		return func(n uint64) (string, error) { return "", r.plan.typed(r.ctx, conn, n) }
	}
	echo := r.newEcho(peerv1.NewEchoClient(conn))
	return func(uint64) (string, error) {
		response, err := echo()
		if err == nil && len(response.GetPayload()) != r.plan.PayloadSize {
			err = fmt.Errorf("answer has %d payload bytes, want %d", len(response.GetPayload()), r.plan.PayloadSize)
		}
		return response.GetServerId(), err
	}
}

// newEcho returns calls of Echo. The answer is the last message.
func (r *run) newEcho(client peerv1.EchoClient) func() (*peerv1.EchoResponse, error) {
	request := &peerv1.EchoRequest{Payload: make([]byte, r.plan.PayloadSize)}
	var options []grpc.CallOption
	if r.plan.Compression != "" {
		options = append(options, grpc.UseCompressor(r.plan.Compression))
	}
	switch r.plan.Method {
	case methodServerStream:
		return func() (*peerv1.EchoResponse, error) { return r.serverStream(client, options) }
	case methodBidi:
		var stream grpc.BidiStreamingClient[peerv1.EchoRequest, peerv1.EchoResponse]
		return func() (answer *peerv1.EchoResponse, err error) {
			if stream == nil {
				stream, err = client.BidiStream(r.ctx, options...)
			}
			if err == nil {
				err = stream.Send(request)
			}
			if err != nil {
				stream = nil
				return nil, err
			}
			return stream.Recv()
		}
	default:
		return func() (*peerv1.EchoResponse, error) { return r.unary(client, request, options) }
	}
}

func (r *run) unary(client peerv1.EchoClient, request *peerv1.EchoRequest, options []grpc.CallOption) (*peerv1.EchoResponse, error) {
	if r.plan.Timeout <= 0 {
		return client.Unary(r.ctx, request, options...)
	}
	ctx, cancel := context.WithTimeout(r.ctx, r.plan.Timeout)
	defer cancel()
	return client.Unary(ctx, request, options...)
}

func (r *run) serverStream(client peerv1.EchoClient, options []grpc.CallOption) (last *peerv1.EchoResponse, err error) {
	request := &peerv1.StreamRequest{Count: uint32(r.plan.Messages), PayloadBytes: uint32(r.plan.PayloadSize)}
	stream, err := client.ServerStream(r.ctx, request, options...)
	for seen := uint(0); err == nil; seen++ {
		var next *peerv1.EchoResponse
		if next, err = stream.Recv(); err == nil {
			last = next
		} else if errors.Is(err, io.EOF) && seen == r.plan.Messages {
			return last, nil
		}
	}
	return nil, err
}
