//! All supported forms of parameters, bodies and attributes.

use everloop::prelude::*;

#[derive(Clone, Serialize, Deserialize)]
struct Point {
    x: u32,
    y: u32,
}

#[activity]
fn patterns(mut a: u32, (b, _): (u32, u32), _: u32, Point { x, .. }: Point, _unused: u8, [c, d]: [u32; 2]) -> u32 {
    a += b + x + c + d;
    a
}

#[activity]
#[allow(clippy::too_many_arguments, reason = "as many as there can be")]
async fn as_many_as_there_can_be(a: u8, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8, h: u8, ctx: &ActivityContext) -> u8 {
    let _ = ctx;
    a + b + c + d + e + f + g + h
}

#[activity(
    name = "all",
    start_to_close_timeout = "1m",
    schedule_to_close_timeout = "1h 30m",
    schedule_to_start_timeout = "250ms",
    heartbeat_timeout = "10s",
    retry_policy(
        initial_interval = "1s",
        backoff_coefficient = 2,
        maximum_interval = "1m",
        maximum_attempts = 5,
        non_retryable_error_types = ["Declined", "Lost"],
    ),
    cancellation_type = wait_cancellation_completed,
)]
#[allow(clippy::needless_pass_by_value)]
async fn every_option(ctx: &ActivityContext, point: Point) {
    let _ = ctx.heartbeat(());
    let _ = point.y;
}

#[workflow]
struct Shaped(State<u32>, &'static str);

#[everloop::workflow(name = "shaped-workflow")]
impl Shaped {
    const LIMIT: u32 = 5;

    #[everloop::init]
    fn new((a, b): (u32, u32), mut c: u32) -> Shaped {
        c += a + b;
        Self(State::new(c), "fixed")
    }

    #[everloop::run]
    async fn run(&self, pair: (u32, u32), _: u32) -> WorkflowResult<u32> {
        self.associated();
        #[allow_nondeterminism("only shown to a person")]
        let started = std::time::Instant::now();
        #[allow_nondeterminism("only shown to a person")]
        println!("{:?} {:?}", started.elapsed(), std::time::SystemTime::now());
        Ok(self.0.get() + pair.0 + Self::LIMIT)
    }

    #[signal(name = "cancel", unfinished_policy = abandon)]
    async fn request_cancel(&self) {
        while wait_condition(|| self.0.get() > 3).await.is_err() {}
    }

    #[query(name = "result")]
    fn current_result(&self) -> u32 {
        self.0.get()
    }

    #[update(unfinished_policy = warn)]
    fn raise(&self, mut by: u32, (a, b): (u32, u32)) -> u32 {
        by += a + b;
        self.0.update(|n| *n += by);
        by
    }

    #[allow_nondeterminism("a helper of tests")]
    fn associated(&self) -> std::time::Instant {
        std::time::Instant::now()
    }

    fn without_self() -> std::time::SystemTime {
        std::time::SystemTime::now()
    }
}

fn options<A: activity::Activity>(_: ActivityCall<A>) -> (&'static str, bool, String) {
    (A::NAME, A::BLOCKING, format!("{:?}", A::OPTIONS))
}

#[test]
fn options_arrive() {
    let (name, blocking, options) = options(every_option(Point { x: 1, y: 2 }));
    assert_eq!((name, blocking), ("all", false));
    for part in ["60s", "5400s", "250ms", "10s", "1s", "2.0", "5", "Declined", "Lost", "WaitCancellationCompleted"] {
        assert!(options.contains(part), "{part} is in {options}");
    }
}

#[test]
fn a_plain_function_blocks() {
    let call = patterns(1, (2, 3), 4, Point { x: 5, y: 6 }, 7, [8, 9]);
    assert_eq!((options(call).0, options(as_many_as_there_can_be(1, 2, 3, 4, 5, 6, 7, 8)).1), ("patterns", false));
    assert!(options(patterns(1, (2, 3), 4, Point { x: 5, y: 6 }, 7, [8, 9])).1);
}

#[test]
fn a_workflow_is_a_plain_type() {
    let workflow = Shaped::new((1, 2), 3);
    assert_eq!(workflow.raise(1, (2, 3)), 6);
    assert_eq!((workflow.current_result(), workflow.1), (12, "fixed"));
    assert_eq!(<Shaped as workflow::Workflow>::NAME, "shaped-workflow");
    drop(Shaped::run((1, 2), 3));
    assert!(Shaped::without_self() > std::time::UNIX_EPOCH);
}
