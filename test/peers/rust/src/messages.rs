//! The messages of `Unary` in ../../proto/peer/v1/echo.proto, as prost-build writes them. What the load never sets is left out.

#[derive(Clone, PartialEq, prost::Message)]
pub struct EchoRequest {
    #[prost(bytes = "vec", tag = "1")]
    pub payload: Vec<u8>,
    #[prost(bool, tag = "2")]
    pub describe: bool,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct EchoResponse {
    #[prost(bytes = "vec", tag = "1")]
    pub payload: Vec<u8>,
    #[prost(string, tag = "2")]
    pub server_id: String,
    #[prost(uint32, tag = "3")]
    pub sequence: u32,
}
