//! The payloads of a message of the wire, on their way through the payload codecs.

mod messages;
#[cfg(test)]
mod tests;

use std::any::Any;
use std::collections::HashMap;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Poll;

use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::payload_codec::{DynPayloadCodec, HeaderCodec, PayloadCodecError, Transformed};
use super::serialization_context::SerializationContext;
use crate::raw;

/// The payloads of one message that pass through the codecs at the same time.
const AT_ONCE: usize = 64;

/// The payload codecs of a client.
#[derive(Clone, Default)]
pub(crate) struct PayloadCodecs {
    /// The first one is next to the values, the last one next to the wire.
    pub(crate) codecs: Vec<Arc<dyn DynPayloadCodec>>,
    pub(crate) headers: HeaderCodec,
}

impl PayloadCodecs {
    /// Encodes the payloads of a outgoing message; `owner` owns the payloads for which the message names no owner.
    pub(crate) async fn encode(
        &self,
        owner: impl FnOnce() -> SerializationContext,
        message: &mut impl Walk,
    ) -> Result<(), PayloadCodecError> {
        self.transform(owner, message, Direction::Encode).await
    }

    /// Decodes the payloads of an incoming message.
    pub(crate) async fn decode(
        &self,
        owner: impl FnOnce() -> SerializationContext,
        message: &mut impl Walk,
    ) -> Result<(), PayloadCodecError> {
        self.transform(owner, message, Direction::Decode).await
    }

    async fn transform(
        &self,
        owner: impl FnOnce() -> SerializationContext,
        message: &mut impl Walk,
        direction: Direction,
    ) -> Result<(), PayloadCodecError> {
        if self.codecs.is_empty() {
            return Ok(());
        }
        let owner = Arc::new(owner());
        let mut taken = Vec::new();
        self.visit(&owner, message, &mut |owner, payload| taken.push((owner.clone(), std::mem::take(payload))));
        if taken.is_empty() {
            return Ok(());
        }
        let changed = taken.into_iter().map(|(owner, payload)| self.one(owner, payload, direction));
        let changed: Vec<_> = stream::iter(changed).buffered(AT_ONCE).try_collect().await?;
        let mut changed = changed.into_iter();
        self.visit(&owner, message, &mut |_, payload| *payload = changed.next().unwrap_or_default());
        Ok(())
    }

    fn visit(
        &self,
        owner: &Arc<SerializationContext>,
        message: &mut impl Walk,
        visit: &mut dyn FnMut(&Arc<SerializationContext>, &mut raw::Payload),
    ) {
        let visits_headers = self.headers == HeaderCodec::Always;
        message.walk(&mut Visitor { owner: owner.clone(), visits_headers, visit });
    }

    /// Sends one payload through all codecs.
    fn one(&self, owner: Arc<SerializationContext>, payload: raw::Payload, direction: Direction) -> Transformed<'_> {
        Box::pin(async move {
            let (mut payload, owner) = (payload, &*owner);
            match direction {
                Direction::Encode => {
                    for codec in &self.codecs {
                        payload = caught(|| codec.encode_boxed(payload, owner)).await?;
                    }
                }
                Direction::Decode => {
                    for codec in self.codecs.iter().rev() {
                        payload = caught(|| codec.decode_boxed(payload, owner)).await?;
                    }
                }
            }
            Ok(payload)
        })
    }
}

#[derive(Clone, Copy)]
enum Direction {
    Encode,
    Decode,
}

/// Converts a panic of a codec into its error.
async fn caught<'a>(start: impl FnOnce() -> Transformed<'a>) -> Result<raw::Payload, PayloadCodecError> {
    let panicked = |panic: Box<dyn Any + Send>| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a value that is not text");
        PayloadCodecError(format!("it panicked: {text}"))
    };
    let mut transformed = catch_unwind(AssertUnwindSafe(start)).map_err(panicked)?;
    poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| transformed.as_mut().poll(context))) {
        Ok(polled) => polled,
        Err(panic) => Poll::Ready(Err(panicked(panic))),
    })
    .await
}

/// A message that holds payloads.
pub(crate) trait Walk {
    /// Visits each of them, always in the same order.
    fn walk(&mut self, visitor: &mut Visitor<'_>);
}

/// Sees the payloads of a message, each with its owner.
pub(crate) struct Visitor<'a> {
    owner: Arc<SerializationContext>,
    visits_headers: bool,
    visit: &'a mut dyn FnMut(&Arc<SerializationContext>, &mut raw::Payload),
}

impl Visitor<'_> {
    fn visits_headers(&self) -> bool {
        self.visits_headers
    }

    fn owner(&self) -> Arc<SerializationContext> {
        self.owner.clone()
    }

    /// Visits payloads of an owner.
    fn within(&mut self, owner: Arc<SerializationContext>, visit: impl FnOnce(&mut Self)) {
        let outer = std::mem::replace(&mut self.owner, owner);
        visit(self);
        self.owner = outer;
    }
}

/// A field with a workflow id.
trait NamesWorkflow {
    fn name_workflow(&self, owner: &mut Arc<SerializationContext>);
}

impl NamesWorkflow for String {
    fn name_workflow(&self, owner: &mut Arc<SerializationContext>) {
        // Not set, as in a start of a child that leaves the choice to the server.
        if !self.is_empty() && owner.workflow_id.as_ref() != Some(self) {
            let owner = Arc::make_mut(owner);
            *owner = SerializationContext { namespace: std::mem::take(&mut owner.namespace), ..Default::default() };
            owner.workflow_id = Some(self.clone());
        }
    }
}

impl NamesWorkflow for Option<raw::WorkflowExecution> {
    fn name_workflow(&self, owner: &mut Arc<SerializationContext>) {
        self.iter().for_each(|execution| execution.workflow_id.name_workflow(owner));
    }
}

/// The fields with the type and the id of an activity.
trait NamesActivity {
    fn name_activity(&self, owner: &mut Arc<SerializationContext>);
}

impl NamesActivity for (&Option<raw::ActivityType>, &String) {
    fn name_activity(&self, owner: &mut Arc<SerializationContext>) {
        let owner = Arc::make_mut(owner);
        owner.activity_type = self.0.as_ref().map(|kind| kind.name.clone());
        owner.activity_id = Some(self.1.clone());
    }
}

impl Walk for raw::Payload {
    fn walk(&mut self, visitor: &mut Visitor<'_>) {
        (visitor.visit)(&visitor.owner, self);
    }
}

impl<T: Walk> Walk for Option<T> {
    fn walk(&mut self, visitor: &mut Visitor<'_>) {
        self.iter_mut().for_each(|value| value.walk(visitor));
    }
}

impl<T: Walk> Walk for Vec<T> {
    fn walk(&mut self, visitor: &mut Visitor<'_>) {
        self.iter_mut().for_each(|value| value.walk(visitor));
    }
}

impl<T: Walk + ?Sized> Walk for Box<T> {
    fn walk(&mut self, visitor: &mut Visitor<'_>) {
        (**self).walk(visitor);
    }
}

impl<T: Walk> Walk for HashMap<String, T> {
    fn walk(&mut self, visitor: &mut Visitor<'_>) {
        sorted(self).into_iter().for_each(|(_, value)| value.walk(visitor));
    }
}

/// The entries of a map by name. A message that is packed into another one is decoded for each walk, and each time its maps have
/// another order.
fn sorted<T>(map: &mut HashMap<String, T>) -> Vec<(&String, &mut T)> {
    let mut entries: Vec<_> = map.iter_mut().collect();
    entries.sort_unstable_by_key(|(name, _)| *name);
    entries
}
