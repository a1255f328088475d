//! tonic as a peer to measure against, on one thread, so that it can be bound to a core:
//!
//!     tonic-peer server ADDRESS                             answers peer.v1.Echo/Unary; port 0 takes a free one
//!     tonic-peer client ADDRESS CONCURRENCY SECONDS SIZE    calls it in a closed loop over one connection
mod histogram;
mod load;
mod messages;

use messages::{EchoRequest, EchoResponse};
use tokio::net::TcpListener;
use tokio::signal::unix::{signal, SignalKind};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{transport::Server, Request, Response, Status};

mod echo {
    include!(concat!(env!("OUT_DIR"), "/peer.v1.Echo.rs"));
}

struct Peer;

#[tonic::async_trait]
impl echo::echo_server::Echo for Peer {
    async fn unary(&self, request: Request<EchoRequest>) -> Result<Response<EchoResponse>, Status> {
        Ok(Response::new(EchoResponse { payload: request.into_inner().payload, ..Default::default() }))
    }
}

async fn serve(address: &str) {
    let listener = TcpListener::bind(address).await.expect("listen");
    let bound = listener.local_addr().expect("address");
    println!("{{\"ready\":true,\"addr\":\"{bound}\",\"id\":\"tonic\",\"pid\":{}}}", std::process::id());
    let mut stop = signal(SignalKind::terminate()).expect("signal");
    let service = echo::echo_server::EchoServer::new(Peer);
    tokio::select! {
        end = Server::builder().tcp_nodelay(true).add_service(service).serve_with_incoming(TcpListenerStream::new(listener)) => {
            end.expect("serve");
        }
        _ = stop.recv() => {}
    }
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    runtime.block_on(async {
        match words[..] {
            ["server", address] => serve(address).await,
            ["client", address, concurrency, seconds, size] => {
                let number = "a number";
                load::run(address, concurrency.parse().expect(number), seconds.parse().expect(number), size.parse().expect(number)).await;
            }
            _ => {
                eprintln!("usage: tonic-peer server ADDRESS | client ADDRESS CONCURRENCY SECONDS SIZE");
                std::process::exit(2);
            }
        }
    });
}
