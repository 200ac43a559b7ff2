//! A run that was reset: it begins with the other run's history and continues with random numbers of its own.

use everloop::client::History;
use everloop::prelude::*;
use everloop::workflow::Workflow;
use everloop_proto::temporal::api::{
    common::v1::WorkflowExecution, enums::v1::EventType, workflowservice::v1::ResetWorkflowExecutionRequest,
};
use uuid::Uuid;

use super::{SHORT, work};
use crate::{
    recorded::stage::{Stage, recordings},
    target::workflow_client,
};

recordings! { a_reset_run: Dice, on_the_reference_alone }

#[workflow]
#[derive(Default)]
struct Dice {
    rolls: State<Vec<u32>>,
}

#[workflow]
impl Dice {
    #[run]
    async fn run(&self) -> WorkflowResult<Vec<u32>> {
        for _ in 0..3 {
            self.rolls.push(workflow::random());
            sleep(SHORT).await?;
            work(workflow::random::<u8>().into()).await?;
        }
        self.rolls.wait(|rolls| rolls.len() > 3).await?;
        Ok(self.rolls.get())
    }

    #[signal]
    fn roll(&self) {
        self.rolls.push(workflow::random());
    }
}

async fn a_reset_run(stage: Stage) -> History {
    stage
        .with_worker(async {
            let dice = stage.client.start(Dice::run()).id(&stage.id).await.unwrap();
            dice.roll().await.unwrap();
            let rolled = dice.result().await.unwrap();
            let history = dice.history().await.unwrap();
            let completed = EventType::WorkflowTaskCompleted as i32;
            let tasks = history.events().iter().filter(|event| event.event_type == completed);
            let after = tasks.map(|event| event.event_id).nth(2).expect("there are more tasks than three");

            let mut service = workflow_client(stage.target.connect().await);
            let request = ResetWorkflowExecutionRequest {
                namespace: stage.client.namespace().to_owned(),
                workflow_execution: Some(WorkflowExecution {
                    workflow_id: stage.id.clone(),
                    run_id: history.run_id().to_owned(),
                }),
                reason: "again".to_owned(),
                workflow_task_finish_event_id: after,
                request_id: Uuid::new_v4().to_string(),
                ..Default::default()
            };
            let run_id = service.reset_workflow_execution(request).await.unwrap().into_inner().run_id;
            let again = stage.client.workflow_handle_of_run::<Dice>(&stage.id, &run_id);
            let rolled_again = again.result().await.unwrap();
            assert!(rolled[0] == rolled_again[0] && rolled != rolled_again, "{rolled:?}, {rolled_again:?}");
            let history = again.history().await.unwrap();
            assert_eq!((history.run_id(), history.workflow_type()), (run_id.as_str(), Dice::NAME));
            history
        })
        .await
}
