//! The code that the messages about `wrong/advice` suggest.

use std::error::Error;

use everloop::prelude::*;

fn parse(item: &str) -> Result<u32, Box<dyn Error + Send + Sync>> {
    Ok(item.parse()?)
}

#[activity]
pub async fn repair(ctx: &ActivityContext, item: String) -> Result<u32, ActivityError> {
    ctx.heartbeat(1)?;
    let parsed = parse(&item).map_err(|error| ActivityError::new(error.to_string()))?;
    Ok(parsed + 1)
}

#[derive(Clone, Default, Serialize, Deserialize)]
pub struct Limits {
    upper: u32,
}

#[workflow]
#[derive(Default)]
pub struct Repair {
    total: State<u32>,
    limits: State<Limits>,
}

#[workflow]
impl Repair {
    #[run]
    async fn run(&self, item: Option<String>) -> Result<u32, WorkflowError> {
        let item = item.ok_or("no item").map_err(|error| WorkflowError::new(error.to_string()))?;
        self.total.set(repair(item).await?);
        self.total.update(|total| *total += 1);
        self.limits.update(|limits| limits.upper = 6);
        let _ = (workflow::now(), workflow::info(), workflow::is_cancelled());
        Ok(self.total.get())
    }
}
