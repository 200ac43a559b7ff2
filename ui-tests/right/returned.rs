//! Return types of handlers are resolved by type: plain values, results, aliases of both, nested results, user types.

use std::num::ParseIntError;

use everloop::prelude::*;

type Plain = Vec<u8>;
type Checked<T = u32> = Result<T, ParseIntError>;
type Nested = Checked<Option<Plain>>;

mod mine {
    use everloop::prelude::*;

    /// Has the name of `Result`, and is another type.
    #[derive(Default, Serialize, Deserialize)]
    pub struct Result(pub u32);
}

#[activity]
async fn checked() -> Checked {
    "5".parse()
}

#[activity]
async fn plain(ctx: &ActivityContext, _n: u32) -> Plain {
    let _ = ctx;
    vec![]
}

#[activity]
fn nothing() {}

#[activity]
fn elsewhere() -> Checked<String>;

#[workflow]
#[derive(Default)]
struct Returns {}

#[workflow]
impl Returns {
    #[run]
    async fn run(&self) -> Nested {
        Ok(None)
    }
    #[query]
    fn mine(&self) -> mine::Result {
        mine::Result(1)
    }
    #[query]
    fn fallible(&self) -> Checked<u8> {
        "5".parse()
    }
    #[signal]
    async fn nothing(&self) {}
    #[signal]
    fn quiet(&self) -> Checked<()> {
        Ok(())
    }
    #[update]
    fn plain(&self) -> Plain {
        vec![]
    }
    #[update(validator = check)]
    async fn parse(&self, text: String, _base: u8) -> Checked {
        text.parse()
    }
    fn check(&self, text: &str, _: &u8) -> Checked<()> {
        text.parse::<u32>().map(drop)
    }
}

/// A workflow whose struct is also its output.
#[workflow]
#[derive(Clone, Serialize, Deserialize)]
struct Itself {
    count: u32,
}

#[workflow]
impl Itself {
    #[init]
    fn new(before: Self) -> Itself {
        before
    }
    #[run]
    async fn run(&self, _before: Self) -> Result<Self, ParseIntError> {
        Ok(self.clone())
    }
    #[query]
    fn all(&self, _others: Vec<Self>) -> Option<Self> {
        None
    }
    #[update]
    fn change(&self, _to: Self) -> Self {
        self.clone()
    }
}

async fn caller(client: &Client) {
    let handle: ReturnsHandle = client.start(Returns::run()).await.unwrap();
    let _: Option<Vec<u8>> = handle.result().await.unwrap();
    let _: mine::Result = handle.mine().await.unwrap();
    let _: u8 = handle.fallible().await.unwrap();
    let _: Vec<u8> = handle.plain().await.unwrap();
    let _: u32 = handle.parse("5".into(), 10).await.unwrap();
    let other: ItselfHandle = client.start(Itself::run(Itself { count: 1 })).await.unwrap();
    let _: Itself = other.result().await.unwrap();
    let _: Option<Itself> = other.all(vec![]).await.unwrap();
}

async fn workflow() {
    let _: u32 = checked().await.unwrap();
    let _: Vec<u8> = plain(5).await.unwrap();
    let _: () = nothing().await.unwrap();
    let _: String = elsewhere().await.unwrap();
}

#[test]
fn handlers_stay_plain_methods() {
    let workflow = Returns::default();
    assert_eq!(workflow.fallible(), Ok(5));
    assert_eq!(workflow.check("5", &10), Ok(()));
}
