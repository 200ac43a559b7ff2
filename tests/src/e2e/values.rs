//! Values that JSON cannot represent are rejected where they are written, and the error names the field. Otherwise they would
//! become `null`.

use everloop::client::{ExecuteError, QueryError, ResultError, StartError, UpdateError, WorkflowStatus};
use everloop::prelude::*;

use super::world::{World, count, event, everywhere, run};

everywhere! {
    a_value_that_does_not_come_back_is_refused_where_it_is_written,
    a_result_of_an_activity_that_does_not_come_back_is_not_tried_again,
    a_result_of_a_workflow_that_does_not_come_back_fails_the_task,
    an_input_of_an_activity_that_does_not_come_back_fails_the_task_with_its_line,
    values_at_the_edge_come_back,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Price {
    eur: f64,
    discount: Option<Option<u8>>,
}

const SHIRT: Price = Price { eur: 9.5, discount: None };
const FREE: Price = Price { eur: f64::NAN, discount: None };
const PLAIN: Price = Price { eur: 1.0, discount: Some(None) };

#[activity]
async fn quote(ctx: &ActivityContext, is_known: bool) -> ActivityResult<Vec<Price>> {
    // A second attempt would return this.
    if ctx.info().attempt > 1 {
        return Ok(vec![]);
    }
    Ok(vec![SHIRT, if is_known { SHIRT } else { FREE }])
}

#[workflow]
#[derive(Default)]
struct Sale {
    price: State<Option<Price>>,
    is_known: State<bool>,
}

#[workflow]
impl Sale {
    #[run]
    async fn run(&self, first: Option<Price>) -> WorkflowResult<Price> {
        self.price.set(first);
        wait_condition(|| self.price.with(|price| price.is_some())).await?;
        let quoted = quote(self.is_known.get()).await?;
        Ok(quoted[0].clone())
    }

    #[signal]
    fn offer(&self, price: Price) {
        self.price.set(Some(price));
    }

    #[query]
    fn ratio(&self) -> Price {
        FREE
    }

    #[update]
    fn is_known(&self, is_known: bool) -> Price {
        self.is_known.set(is_known);
        if is_known { SHIRT } else { PLAIN }
    }
}

#[workflow]
#[derive(Default)]
struct Ends;

#[workflow]
impl Ends {
    #[run]
    async fn run(&self) -> WorkflowResult<Vec<Price>> {
        Ok(vec![SHIRT, FREE])
    }
}

#[activity]
async fn order(price: Price) -> ActivityResult<f64> {
    Ok(price.eur)
}

#[workflow]
#[derive(Default)]
struct Orders;

#[workflow]
impl Orders {
    #[run]
    async fn run(&self) -> WorkflowResult<f64> {
        Ok(order(FREE).await?)
    }
}

#[workflow]
#[derive(Default)]
struct Echo;

#[workflow]
impl Echo {
    #[run]
    async fn run(&self, price: f64, list: Vec<Option<f64>>, number: u128) -> (f64, Vec<Option<f64>>, u128) {
        (price, list, number)
    }
}

const NAN: &str = "NaN cannot be written as JSON; use `Option<f64>` or a string";

async fn a_value_that_does_not_come_back_is_refused_where_it_is_written(world: World) {
    let worker = world.worker().workflow::<Sale>().activity(quote);
    run(worker, async {
        let Err(StartError::Encode(refused)) = world.client.start(Sale::run(Some(FREE))).await else {
            panic!("it was started")
        };
        let expected = format!("argument 1 `first`: `{}` cannot be serialized: eur: {NAN}", refused.type_name);
        assert_eq!(refused.to_string(), expected);
        let memo = world.client.start(Sale::run(None)).memo("price", &f64::INFINITY);
        let Err(refused) = memo.await else { panic!("it was started") };
        let text = refused.to_string();
        assert!(text.starts_with("memo `price`: `f64` cannot be serialized: inf cannot be written"), "{text}");

        let sale = world.client.start(Sale::run(None)).await.unwrap();
        let text = sale.offer(PLAIN).await.unwrap_err().to_string();
        assert!(
            text.contains("argument 1 `price`") && text.contains("discount: `Some` of what is written as"),
            "{text}"
        );
        let Err(QueryError::Failed(failure)) = sale.ratio().await else { panic!("there is an answer") };
        let text = failure.to_string();
        assert!(text.contains("the answer of query `ratio`") && text.contains(&format!("eur: {NAN}")), "{text}");
        let Err(UpdateError::Failed(failure)) = sale.is_known(false).await else { panic!("there is an answer") };
        let text = failure.to_string();
        assert!(text.contains("the answer of update `is_known`") && text.contains("discount: "), "{text}");

        // The value has not reached the workflow; valid ones do.
        assert_eq!(sale.is_known(true).await.unwrap(), SHIRT);
        sale.offer(SHIRT).await.unwrap();
        assert_eq!(sale.result().await.unwrap(), SHIRT);
    })
    .await;
}

async fn a_result_of_an_activity_that_does_not_come_back_is_not_tried_again(world: World) {
    let worker = world.worker().workflow::<Sale>().activity(quote);
    let result = run(worker, async { world.client.execute(Sale::run(Some(SHIRT))).await }).await;
    let Err(ExecuteError::Result(ResultError::Failed(failure))) = result else { panic!("{result:?}") };
    let text = failure.to_string();
    assert!(
        text.contains("EncodeError: the result of activity `quote`") && text.contains(&format!("[1].eur: {NAN}")),
        "{text}"
    );
}

async fn a_result_of_a_workflow_that_does_not_come_back_fails_the_task(world: World) {
    let worker = world.worker().workflow::<Ends>();
    run(worker, async {
        let handle = world.client.start(Ends::run()).await.unwrap();
        let history = event(&handle, "WorkflowTaskFailed").await;
        let timeline = history.timeline();
        assert!(
            timeline.contains("the result of workflow `Ends`: ") && timeline.contains(&format!("[1].eur: {NAN}")),
            "{timeline}"
        );
        // The workflow can end once code is deployed that returns another value.
        assert_eq!(handle.describe().await.unwrap().status(), WorkflowStatus::Running);
        assert_eq!(count(&history, "WorkflowExecutionCompleted"), 0);
        handle.terminate("seen").await.unwrap();
    })
    .await;
}

async fn an_input_of_an_activity_that_does_not_come_back_fails_the_task_with_its_line(world: World) {
    let worker = world.worker().workflow::<Orders>().activity(order);
    run(worker, async {
        let handle = world.client.start(Orders::run()).await.unwrap();
        let history = event(&handle, "WorkflowTaskFailed").await;
        let timeline = history.timeline();
        assert!(timeline.contains("activity `order`, called at tests/src/e2e/values.rs:"), "{timeline}");
        assert!(timeline.contains("argument 1 `price`: ") && timeline.contains(&format!("eur: {NAN}")), "{timeline}");
        assert_eq!(count(&history, "ActivityTaskScheduled"), 0);
        handle.terminate("seen").await.unwrap();
    })
    .await;
}

async fn values_at_the_edge_come_back(world: World) {
    // Without exact parsing of the last digit, the first of them is read as its neighbour.
    let (price, list) = (0.123_456_789_012_345_68, vec![None, Some(f64::MIN_POSITIVE), Some(-0.0), Some(f64::MAX)]);
    let worker = world.worker().workflow::<Echo>();
    let echo = Echo::run(price, list.clone(), u128::MAX);
    let result = run(worker, async { world.client.execute(echo).await }).await;
    assert_eq!(result.unwrap(), (price, list, u128::MAX));
}
