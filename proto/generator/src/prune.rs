//! Removes unreachable types and extensions, but never a field.
//!
//! A missing field would be an unknown one, and prost drops unknown fields: the engine would lose data of other SDKs.

use std::collections::{BTreeMap, BTreeSet};

use prost_types::{DescriptorProto, EnumDescriptorProto, FileDescriptorProto, FileDescriptorSet};

/// Keeps the definitions of the files `roots`, and all types they refer to. Types nested in a kept one are kept.
pub(crate) fn prune(set: &mut FileDescriptorSet, roots: &[&str]) {
    let mut wanted = Vec::new();
    for file in set.file.iter_mut() {
        if !roots.contains(&file.name()) {
            file.service.clear();
            continue;
        }
        wanted.extend(names(file));
        let methods = file.service.iter().flat_map(|service| &service.method);
        wanted.extend(methods.flat_map(|method| [method.input_type().into(), method.output_type().into()]));
    }
    keep(set, wanted);
    set.file.iter_mut().for_each(undeprecate);
}

/// Keeps the types with those full names and the types they refer to, and files that are not empty then.
pub(crate) fn keep(set: &mut FileDescriptorSet, wanted: Vec<String>) {
    let reached = reach(set, wanted);
    for file in &mut set.file {
        let package = file.package().to_owned();
        let keeps = |name: &str| reached.contains(&format!(".{package}.{name}"));
        file.message_type.retain(|message| keeps(message.name()));
        file.enum_type.retain(|r#enum| keeps(r#enum.name()));
        // Extensions are the annotations of HTTP gateways and document generators.
        file.extension.clear();
    }
    set.file.retain(|file| !(file.message_type.is_empty() && file.enum_type.is_empty() && file.service.is_empty()));
}

/// Returns the full names of a file's top-level types.
fn names(file: &FileDescriptorProto) -> Vec<String> {
    let messages = file.message_type.iter().map(DescriptorProto::name);
    let enums = file.enum_type.iter().map(EnumDescriptorProto::name);
    messages.chain(enums).map(|name| format!(".{}.{name}", file.package())).collect()
}

/// Returns the full names of all reachable top-level types.
fn reach(set: &FileDescriptorSet, mut pending: Vec<String>) -> BTreeSet<String> {
    let mut references = BTreeMap::new();
    for file in &set.file {
        references.extend(names(file).into_iter().map(|name| (name, Vec::new())));
        for message in &file.message_type {
            let named = references.entry(format!(".{}.{}", file.package(), message.name())).or_default();
            collect_references(message, named);
        }
    }

    let mut reached = BTreeSet::new();
    while let Some(name) = pending.pop() {
        let Some(top_level) = top_level(&name, &references) else { continue };
        if reached.insert(top_level.to_owned()) {
            pending.extend(references[top_level].iter().cloned());
        }
    }
    reached
}

/// Returns the top-level type that `name` is, or is nested in; none if only annotations refer to it.
fn top_level<'a>(mut name: &'a str, known: &BTreeMap<String, Vec<String>>) -> Option<&'a str> {
    while !known.contains_key(name) {
        name = name.rsplit_once('.')?.0;
    }
    Some(name)
}

fn collect_references(message: &DescriptorProto, names: &mut Vec<String>) {
    names.extend(message.field.iter().filter_map(|field| field.type_name.clone()));
    for nested in &message.nested_type {
        collect_references(nested, names);
    }
}

/// Deprecated fields must be read and written to serve old and new peers, so warnings about them would not help.
fn undeprecate(file: &mut FileDescriptorProto) {
    file.message_type.iter_mut().for_each(undeprecate_message);
    file.enum_type.iter_mut().for_each(undeprecate_enum);
    for service in &mut file.service {
        service.options.iter_mut().for_each(|options| options.deprecated = None);
        for method in &mut service.method {
            method.options.iter_mut().for_each(|options| options.deprecated = None);
        }
    }
}

fn undeprecate_message(message: &mut DescriptorProto) {
    message.options.iter_mut().for_each(|options| options.deprecated = None);
    for field in &mut message.field {
        field.options.iter_mut().for_each(|options| options.deprecated = None);
    }
    message.nested_type.iter_mut().for_each(undeprecate_message);
    message.enum_type.iter_mut().for_each(undeprecate_enum);
}

fn undeprecate_enum(r#enum: &mut EnumDescriptorProto) {
    r#enum.options.iter_mut().for_each(|options| options.deprecated = None);
    for value in &mut r#enum.value {
        value.options.iter_mut().for_each(|options| options.deprecated = None);
    }
}

#[cfg(test)]
mod tests {
    use prost_types::{FieldDescriptorProto, MethodDescriptorProto, ServiceDescriptorProto};

    use super::*;

    fn message(name: &str, fields: &[&str]) -> DescriptorProto {
        let fields = fields.iter().map(|r#type| FieldDescriptorProto {
            type_name: Some((*r#type).to_owned()),
            ..FieldDescriptorProto::default()
        });
        DescriptorProto { name: Some(name.to_owned()), field: fields.collect(), ..DescriptorProto::default() }
    }

    fn file(package: &str, messages: Vec<DescriptorProto>) -> FileDescriptorProto {
        FileDescriptorProto {
            name: Some(format!("{package}.proto")),
            package: Some(package.to_owned()),
            message_type: messages,
            ..FileDescriptorProto::default()
        }
    }

    fn names(set: &FileDescriptorSet) -> Vec<String> {
        let of_file = |file: &FileDescriptorProto| {
            file.message_type.iter().map(|m| format!("{}.{}", file.package(), m.name())).collect::<Vec<_>>()
        };
        set.file.iter().flat_map(of_file).collect()
    }

    #[test]
    fn types_used_by_fields_and_methods_are_kept_and_others_dropped() {
        let mut outer = message("Outer", &[]);
        outer.nested_type = vec![message("Inner", &[".types.Deep"])];
        let types = file("types", vec![message("Request", &[".types.Outer.Inner"]), outer, message("Deep", &[])]);
        let mut unused = file("unused", vec![message("Annotation", &[".types.Deep"])]);
        unused.service = vec![ServiceDescriptorProto::default()];
        let mut service = file("root", vec![]);
        let method = MethodDescriptorProto {
            input_type: Some(".types.Request".to_owned()),
            output_type: Some(".types.Request".to_owned()),
            ..MethodDescriptorProto::default()
        };
        service.service = vec![ServiceDescriptorProto { method: vec![method], ..ServiceDescriptorProto::default() }];

        let mut set = FileDescriptorSet { file: vec![types, unused, service] };
        prune(&mut set, &["root.proto"]);
        assert_eq!(names(&set), ["types.Request", "types.Outer", "types.Deep"]);
        assert_eq!(set.file.len(), 2, "a file without kept types and services goes");
    }

    #[test]
    fn recursive_types_terminate() {
        let mut set = FileDescriptorSet { file: vec![file("a", vec![message("Failure", &[".a.Failure"])])] };
        prune(&mut set, &["a.proto"]);
        assert_eq!(names(&set), ["a.Failure"]);
    }
}
