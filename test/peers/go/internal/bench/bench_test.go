package bench

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protodelim"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"bowline.example/peers/gen/benchv1"
)

func TestTheAnswerToAnOrderIsTheOrderPaid(t *testing.T) {
	in := &benchv1.Order{}
	fill(in.ProtoReflect())
	out, err := Server{}.EchoOrder(context.Background(), in)
	if err != nil {
		t.Fatal(err)
	}
	want := proto.Clone(in).(*benchv1.Order)
	want.Status = benchv1.OrderStatus_ORDER_STATUS_PAID
	if !proto.Equal(out, want) {
		t.Errorf("got %v, want %v", out, want)
	}
}

// fill sets every field that is no message, and each message to an empty one that is set.
func fill(message protoreflect.Message) {
	fields := message.Descriptor().Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		switch {
		case field.IsMap():
			key := field.MapKey().Default().MapKey()
			message.Mutable(field).Map().Set(key, field.MapValue().Default())
		case field.IsList():
			message.Mutable(field).List().AppendMutable()
		case field.Message() != nil:
			message.Mutable(field)
		case field.Kind() == protoreflect.StringKind:
			message.Set(field, protoreflect.ValueOfString(string(field.Name())))
		case field.Kind() == protoreflect.Int64Kind:
			message.Set(field, protoreflect.ValueOfInt64(7))
		case field.Kind() == protoreflect.DoubleKind:
			message.Set(field, protoreflect.ValueOfFloat64(7))
		case field.Kind() == protoreflect.BoolKind:
			message.Set(field, protoreflect.ValueOfBool(true))
		}
	}
}

func TestRequestsAreReadFromAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "requests")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a", "b"} {
		if _, err := protodelim.MarshalTo(file, &benchv1.Tiny{Name: name}); err != nil {
			t.Fatal(err)
		}
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	messages, err := read(path, func() *benchv1.Tiny { return &benchv1.Tiny{} })
	if err != nil || len(messages) != 2 || messages[1].GetName() != "b" {
		t.Errorf("got %v, %v", messages, err)
	}
}

func TestAFileThatIsNotThereAndAnUnknownKindAreNamed(t *testing.T) {
	for kind, want := range map[string]string{"tiny": "-requests", "large": "want tiny or order"} {
		if _, err := Calls(kind, filepath.Join(t.TempDir(), "none")); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", kind, err, want)
		}
	}
}
