//! A closed loop over one connection; the line it prints has the keys of the Go clients' load.
use crate::echo::echo_client::EchoClient;
use crate::histogram::Histogram;
use crate::messages::EchoRequest;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tonic::transport::Channel;

/// One call in this many is timed, as in the other peers.
const TIMED_ONE_IN: u64 = 8;

struct Figures {
    calls: u64,
    errors: u64,
    by_error: BTreeMap<String, u64>,
    latencies: Histogram,
}

/// Keeps `concurrency` calls with a payload of `size` bytes in flight for `seconds`.
pub async fn run(address: &str, concurrency: usize, seconds: f64, size: usize) {
    let client = EchoClient::connect(format!("http://{address}")).await.expect("connect");
    println!("{{\"begin\":true}}");
    let end = Instant::now() + Duration::from_secs_f64(seconds);
    let empty = Figures { calls: 0, errors: 0, by_error: BTreeMap::new(), latencies: Histogram::new() };
    let figures = Rc::new(RefCell::new(empty));
    let (started, cpu_before) = (Instant::now(), cpu_seconds());
    let tasks = tokio::task::LocalSet::new();
    for _ in 0..concurrency {
        tasks.spawn_local(work(client.clone(), figures.clone(), size, end));
    }
    tasks.await;
    print(&figures.borrow(), concurrency, started.elapsed().as_secs_f64(), cpu_seconds() - cpu_before);
}

async fn work(mut client: EchoClient<Channel>, figures: Rc<RefCell<Figures>>, size: usize, end: Instant) {
    let mut issued = 0;
    loop {
        let begun = Instant::now();
        if begun >= end {
            return;
        }
        let answer = client.unary(EchoRequest { payload: vec![7; size], describe: false }).await;
        issued += 1;
        let mut seen = figures.borrow_mut();
        match answer {
            Ok(answer) if answer.get_ref().payload.len() == size => {
                seen.calls += 1;
                if issued % TIMED_ONE_IN == 0 {
                    seen.latencies.record(begun.elapsed());
                }
            }
            Ok(_) => seen.failed("the answer is not what was sent"),
            Err(status) => seen.failed(status.message()),
        }
    }
}

impl Figures {
    fn failed(&mut self, why: &str) {
        self.errors += 1;
        *self.by_error.entry(why.replace(['"', '\\'], "'")).or_default() += 1;
    }
}

fn print(figures: &Figures, concurrency: usize, seconds: f64, cpu_seconds: f64) {
    let by_error: Vec<String> = figures.by_error.iter().map(|(why, count)| format!("\"{why}\":{count}")).collect();
    println!(
        "{{\"load\":\"tonic\",\"c\":{concurrency},\"seconds\":{seconds:.3},\"ok\":{},\"errors\":{},\"p50_ms\":{:.4},\"p99_ms\":{:.4},\
         \"client_cpu_seconds\":{cpu_seconds:.4},\"by_error\":{{{}}}}}",
        figures.calls,
        figures.errors,
        figures.latencies.quantile_ms(0.5),
        figures.latencies.quantile_ms(0.99),
        by_error.join(",")
    );
}

/// CPU time of this thread, the only one that works; 0 where Linux does not say.
fn cpu_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|nanoseconds| nanoseconds.parse::<f64>().ok()).unwrap_or(0.0) / 1e9
}
