package load

import (
	"context"
	"errors"
	"fmt"
	"io"

	"google.golang.org/grpc"

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
	switch r.plan.Method {
	case methodServerStream:
		return func() (*peerv1.EchoResponse, error) { return r.serverStream(client) }
	case methodBidi:
		var stream grpc.BidiStreamingClient[peerv1.EchoRequest, peerv1.EchoResponse]
		return func() (answer *peerv1.EchoResponse, err error) {
			if stream == nil {
				stream, err = client.BidiStream(r.ctx)
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
		return func() (*peerv1.EchoResponse, error) { return r.unary(client, request) }
	}
}

func (r *run) unary(client peerv1.EchoClient, request *peerv1.EchoRequest) (*peerv1.EchoResponse, error) {
	if r.plan.Timeout <= 0 {
		return client.Unary(r.ctx, request)
	}
	ctx, cancel := context.WithTimeout(r.ctx, r.plan.Timeout)
	defer cancel()
	return client.Unary(ctx, request)
}

func (r *run) serverStream(client peerv1.EchoClient) (last *peerv1.EchoResponse, err error) {
	request := &peerv1.StreamRequest{Count: uint32(r.plan.Messages), PayloadBytes: uint32(r.plan.PayloadSize)}
	stream, err := client.ServerStream(r.ctx, request)
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
