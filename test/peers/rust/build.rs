//! Describes `Unary` of ../../proto/peer/v1/echo.proto; src/messages.rs has its messages.
use tonic_build::manual::{Builder, Method, Service};

fn main() {
    let unary = Method::builder()
        .name("unary")
        .route_name("Unary")
        .input_type("crate::messages::EchoRequest")
        .output_type("crate::messages::EchoResponse")
        .codec_path("tonic_prost::ProstCodec")
        .build();
    Builder::new().compile(&[Service::builder().name("Echo").package("peer.v1").method(unary).build()]);
}
