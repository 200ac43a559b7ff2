// Operations of tokio that have an equivalent in Everloop.
use everloop::prelude::*;

#[workflow]
#[derive(Default)]
struct Report {}

#[workflow]
impl Report {
    #[run]
    async fn run(&self) {
        tokio::spawn(async {});
        tokio::time::sleep(Duration::from_secs(1)).await;
        let _ = tokio::time::timeout(Duration::from_secs(1), async {}).await;
        tokio::select! {
            _ = std::future::ready(()) => {}
        }
        tokio::join!(std::future::ready(()));
    }
}

fn main() {}
