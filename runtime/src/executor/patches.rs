//! Patches: changes of a workflow's code that some of its runs have and others, which are older, do not.
//!
//! A run has a patch if its history has a marker for it. The marker is written by the first live call that asks for the
//! patch, and looked up in the outputs of the task that is replayed. Names and contents are those of the SDKs that are
//! built on Temporal's core, so that each replays the histories of the others. A marker may stand anywhere among the
//! outputs of its task: unlike a command, it tells nothing about the order of what the code did.

use std::collections::BTreeMap;

use everloop_proto::temporal::api::command::v1::command::Attributes as CommandAttributes;
use everloop_proto::temporal::api::command::v1::{
    Command, RecordMarkerCommandAttributes, UpsertWorkflowSearchAttributesCommandAttributes,
};
use everloop_proto::temporal::api::common::v1::SearchAttributes;
use everloop_proto::temporal::api::history::v1::HistoryEvent;
use everloop_proto::temporal::api::history::v1::history_event::Attributes as EventAttributes;
use serde::{Deserialize, Serialize};

use crate::data::{decode, encode};
use crate::raw;

/// The name of a patch's marker.
const MARKER: &str = "core_patch";

/// The name of the marker's only detail.
const DETAIL: &str = "patch-data";

/// The search attribute that lists the patches of a run.
const CHANGE_VERSION: &str = "TemporalChangeVersion";

/// The longest list of patches that every server takes, in bytes of JSON.
const CHANGE_VERSION_BYTES_MAX: usize = 2_047;

/// The number in the SDK metadata by which the other SDKs know that the list of patches follows a marker.
const LISTED_FLAG: u32 = 2;

/// The content of a patch's marker.
#[derive(Debug, Serialize, Deserialize)]
struct Marker {
    id: String,
    /// Whether the code has no other path any more, so that a replay need not ask for the patch.
    #[serde(default)]
    deprecated: bool,
}

/// The identity of the commands of a patch on replay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PatchCommand {
    /// Records that the run has the patch.
    Record { id: String, deprecated: bool },
    /// Lists the patches of the run in a search attribute.
    List,
}

impl std::fmt::Display for PatchCommand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Record { id, deprecated: false } => write!(f, "RecordPatch({id})"),
            Self::Record { id, deprecated: true } => write!(f, "RecordPatch({id}, deprecated)"),
            Self::List => write!(f, "UpsertSearchAttributes({CHANGE_VERSION})"),
        }
    }
}

impl PatchCommand {
    /// The command that became this event.
    pub(super) fn recorded(event: &EventAttributes) -> Option<Self> {
        match event {
            EventAttributes::MarkerRecordedEventAttributes(marker) if marker.marker_name == MARKER => {
                let Marker { id, deprecated } = Marker::read(&marker.details)?;
                Some(Self::Record { id, deprecated })
            }
            EventAttributes::UpsertWorkflowSearchAttributesEventAttributes(upserted) => {
                let names = upserted.search_attributes.iter().flat_map(|attributes| attributes.indexed_fields.keys());
                names.eq([CHANGE_VERSION]).then_some(Self::List)
            }
            _ => None,
        }
    }
}

impl Marker {
    fn read<'a>(details: impl IntoIterator<Item = (&'a String, &'a raw::Payloads)>) -> Option<Self> {
        let mut details = details.into_iter();
        let (_, detail) = details.find(|(name, _)| *name == DETAIL)?;
        decode(detail.payloads.first()?).ok()
    }
}

/// The patches that a run has, or was found not to have.
pub(super) struct Patches {
    known: BTreeMap<String, Patch>,
    /// Whether a search attribute lists them: not on a server that keeps no SDK metadata, where others could not replay it.
    listed: bool,
}

#[derive(Clone, Copy)]
struct Patch {
    /// Whether the run has it. Once asked for, it stays so for the rest of the run.
    has: bool,
    /// Whether the code has asked for it.
    asked: bool,
}

/// Whether the run has a patch, and the commands that record it.
pub(super) struct Answer {
    pub(super) has: bool,
    pub(super) commands: Vec<(PatchCommand, CommandAttributes)>,
    pub(super) warning: Option<String>,
}

impl Patches {
    pub(super) fn new(listed: bool) -> Self {
        Self { known: BTreeMap::new(), listed }
    }

    /// Takes the markers among the outputs of the task that is about to be replayed.
    pub(super) fn foresee(&mut self, outputs: &[HistoryEvent]) {
        for event in outputs {
            if let Some(PatchCommand::Record { id, .. }) = event.attributes.as_ref().and_then(PatchCommand::recorded) {
                // Code that has asked for it before its marker was a code without it.
                self.known.insert(id, Patch { has: true, asked: false });
            }
        }
    }

    /// Whether the run has the patch. A live call that is the first to ask gives it to the run.
    pub(super) fn ask(&mut self, id: &str, deprecated: bool, replaying: bool) -> Answer {
        let mut answer = Answer { has: !replaying, commands: Vec::new(), warning: None };
        if let Some(known) = self.known.get_mut(id) {
            known.asked = true;
            answer.has = known.has;
            return answer;
        }
        self.known.insert(id.to_owned(), Patch { has: answer.has, asked: true });
        if answer.has {
            let marker = Marker { id: id.to_owned(), deprecated };
            let detail = encode(&marker).expect("a text and a bool are JSON");
            let marker = RecordMarkerCommandAttributes {
                marker_name: MARKER.to_owned(),
                details: [(DETAIL.to_owned(), raw::Payloads { payloads: vec![detail] })].into(),
                ..Default::default()
            };
            let command = PatchCommand::Record { id: id.to_owned(), deprecated };
            answer.commands.push((command, CommandAttributes::RecordMarkerCommandAttributes(marker)));
            if self.listed {
                match self.list() {
                    Ok(list) => answer.commands.push((PatchCommand::List, list)),
                    Err(warning) => answer.warning = Some(format!("the patch `{id}` {warning}")),
                }
            }
        }
        answer
    }

    /// The command that lists the patches of the run, or why there is none.
    fn list(&self) -> Result<CommandAttributes, String> {
        let ids = self.known.iter().filter(|(_, patch)| patch.has && patch.asked).map(|(id, _)| id.clone());
        let mut list = encode(&ids.collect::<Vec<String>>()).expect("texts are JSON");
        if list.data.len() > CHANGE_VERSION_BYTES_MAX {
            return Err(format!(
                "is recorded, but lists of workflows do not show it: the ids of this run's patches are longer than \
                 {CHANGE_VERSION_BYTES_MAX} bytes, which is what the search attribute {CHANGE_VERSION} can take; remove \
                 calls of `patched` and `deprecate_patch` that no open run needs, or use shorter ids"
            ));
        }
        list.metadata.insert("type".to_owned(), "KeywordList".into());
        let search_attributes = Some(SearchAttributes { indexed_fields: [(CHANGE_VERSION.to_owned(), list)].into() });
        let upsert = UpsertWorkflowSearchAttributesCommandAttributes { search_attributes };
        Ok(CommandAttributes::UpsertWorkflowSearchAttributesCommandAttributes(upsert))
    }

    /// The patch in an event of history that the code should have asked for, and has not.
    pub(super) fn missing<'a>(&self, recorded: &'a PatchCommand) -> Option<&'a str> {
        match recorded {
            PatchCommand::Record { id, deprecated: false } if !self.known.get(id).is_some_and(|patch| patch.asked) => {
                Some(id)
            }
            PatchCommand::Record { .. } | PatchCommand::List => None,
        }
    }
}

/// The numbers to record in the SDK metadata, for other SDKs, of a task that has completed with these commands.
pub(crate) fn flags_for_others(commands: &[Command]) -> Vec<u32> {
    let lists = |command: &Command| {
        matches!(command.attributes, Some(CommandAttributes::UpsertWorkflowSearchAttributesCommandAttributes(_)))
    };
    if commands.iter().any(lists) { vec![LISTED_FLAG] } else { Vec::new() }
}
