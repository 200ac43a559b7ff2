//! Descriptors of some messages: those that are shown as JSON, and the requests of the workflow service.

use std::collections::BTreeSet;

use prost::Message;
use prost_types::FileDescriptorSet;

use crate::prune::keep;

/// The file below the folder of generated code.
pub(crate) const FILE: &str = "descriptors.binpb";

/// The messages, each with all messages it refers to.
pub(crate) const MESSAGES: &[&str] = &[
    ".temporal.api.history.v1.History",
    ".temporal.api.workflowservice.v1.DescribeWorkflowExecutionResponse",
    ".temporal.api.workflowservice.v1.QueryWorkflowResponse",
];

/// The file with the requests of the workflow service, below the folder of generated code.
pub(crate) const REQUESTS_FILE: &str = "requests.binpb";

/// Returns the requests of the services in the file `path` of `set`.
pub(crate) fn requests<'a>(set: &'a FileDescriptorSet, path: &str) -> Vec<&'a str> {
    let services = set.file.iter().filter(|file| file.name() == path).flat_map(|file| &file.service);
    services.flat_map(|service| &service.method).map(|method| method.input_type()).collect()
}

/// Returns the descriptors of `messages` and nothing else of `set`.
pub(crate) fn encode(set: &FileDescriptorSet, messages: &[&str]) -> Vec<u8> {
    let mut set = set.clone();
    for file in &mut set.file {
        file.service.clear();
        // Options do not affect the wire form or the JSON of these files.
        file.options = None;
    }
    keep(&mut set, messages.iter().map(|&name| name.to_owned()).collect());
    // A reader of the set rejects imports of missing files.
    let kept: BTreeSet<_> = set.file.iter().map(|file| file.name().to_owned()).collect();
    for file in &mut set.file {
        file.dependency.retain(|import| kept.contains(import));
        file.public_dependency.clear();
        file.weak_dependency.clear();
    }
    set.encode_to_vec()
}

#[cfg(test)]
mod tests {
    use prost_types::{DescriptorProto, FieldDescriptorProto, FileDescriptorProto};

    use super::*;

    fn file(package: &str, message: DescriptorProto, imports: &[&str]) -> FileDescriptorProto {
        FileDescriptorProto {
            name: Some(format!("{package}.proto")),
            package: Some(package.to_owned()),
            dependency: imports.iter().map(|&name| name.to_owned()).collect(),
            message_type: vec![message],
            ..FileDescriptorProto::default()
        }
    }

    fn message(name: &str, field: Option<&str>) -> DescriptorProto {
        let field = field.map(|name| FieldDescriptorProto { type_name: Some(name.to_owned()), ..Default::default() });
        DescriptorProto { name: Some(name.to_owned()), field: field.into_iter().collect(), ..Default::default() }
    }

    #[test]
    fn imports_of_dropped_files_are_removed() {
        let history = file("history", message("History", Some(".event.Event")), &["event.proto", "other.proto"]);
        let others = [file("event", message("Event", None), &[]), file("other", message("Other", None), &[])];
        let set = FileDescriptorSet { file: [history].into_iter().chain(others).collect() };
        let described = FileDescriptorSet::decode(encode(&set, &[".history.History"]).as_slice()).unwrap();
        let files: Vec<_> = described.file.iter().map(|file| (file.name(), file.dependency.as_slice())).collect();
        assert_eq!(files, [("history.proto", &["event.proto".to_owned()][..]), ("event.proto", &[])]);
    }
}
