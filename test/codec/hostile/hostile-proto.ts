/** Messages with a place for each attack. */
export const HOSTILE_PROTO = `edition = "2023";
package hostile;
import "google/protobuf/any.proto";
import "google/protobuf/descriptor.proto";
import "google/protobuf/field_mask.proto";
import "google/protobuf/struct.proto";
import "google/protobuf/wrappers.proto";
option features.field_presence = IMPLICIT;

message Node {
  Node child = 1;
  repeated Node children = 2;
  map<string, Node> by_name = 3;
  map<uint32, int32> by_number = 4;
  map<uint64, bool> by_long = 5;
  oneof pick {
    Node picked = 6;
    string word = 7;
  }
  Node inner = 8 [features.message_encoding = DELIMITED];
  repeated Node inners = 9 [features.message_encoding = DELIMITED];
  string text = 10;
  bytes data = 11;
  repeated string texts = 12;
  repeated bytes datas = 13;
  repeated int64 longs = 14;
  repeated uint64 fixed = 15;
  uint32 number = 16;
  repeated sint32 small = 17;
  repeated bool flags = 18;
  repeated google.protobuf.Any anys = 19;
  google.protobuf.Struct structure = 20;
  google.protobuf.Value value = 21;
  google.protobuf.ListValue list = 22;
  google.protobuf.FieldMask mask = 23;
  repeated google.protobuf.Int64Value wrapped = 24;
  google.protobuf.FileDescriptorProto file = 25;
  Mode mode = 26 [features.field_presence = EXPLICIT];
  repeated Mode modes = 27;
  map<string, string> strings = 28;
  repeated int64 as_text = 29 [jstype = JS_STRING];
}

message Empty {}

message Sparse { map<uint32, bool> numbers = 1; map<uint64, bool> longs = 2; map<string, bool> texts = 3; }

message Sparses { repeated Sparse all = 1; }

message Wide {
  repeated int32 a = 1; repeated int32 b = 2; repeated int32 c = 3; repeated int32 d = 4; map<string, string> e = 5;
  map<string, string> f = 6; oneof g { int32 g1 = 7; } oneof h { int32 h1 = 8; } repeated int32 i = 9; repeated int32 j = 10;
  repeated int32 k = 11; repeated int32 l = 12; repeated int32 m = 13; repeated int32 n = 14; Wide wide = 15;
}

message Wides { repeated Wide all = 1; map<int32, Wide> by_number = 2; Wide one = 3; }

enum Mode {
  option features.enum_type = CLOSED;
  MODE_A = 0;
  MODE_B = 1;
}
`;
