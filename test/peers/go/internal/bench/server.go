// Package bench has what peers are measured by with typed messages: a server of bench.v1.Bench, and calls of it.
package bench

import (
	"context"

	"bowline.example/peers/gen/benchv1"
)

// Server answers as every peer of the bench does: a message made of the one that came.
type Server struct {
	benchv1.UnimplementedBenchServer
}

func (Server) EchoTiny(_ context.Context, in *benchv1.Tiny) (*benchv1.Tiny, error) {
	return &benchv1.Tiny{UserId: in.GetUserId(), Name: in.GetName(), Age: in.GetAge() + 1}, nil
}

func (Server) EchoOrder(_ context.Context, in *benchv1.Order) (*benchv1.Order, error) {
	return &benchv1.Order{
		Id:        in.GetId(),
		Number:    in.GetNumber(),
		Status:    benchv1.OrderStatus_ORDER_STATUS_PAID,
		Customer:  in.GetCustomer(),
		ShipTo:    in.GetShipTo(),
		BillTo:    in.GetBillTo(),
		Lines:     in.GetLines(),
		Total:     in.GetTotal(),
		Shipping:  in.GetShipping(),
		CreatedAt: in.GetCreatedAt(),
		UpdatedAt: in.GetUpdatedAt(),
		Labels:    in.GetLabels(),
		Taxes:     in.GetTaxes(),
		Parcels:   in.GetParcels(),
		WeightKg:  in.GetWeightKg(),
		IsGift:    in.GetIsGift(),
		Note:      in.Note,
	}, nil
}
