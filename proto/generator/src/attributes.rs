//! The type that belongs to the attributes of an event or a command: a method of the oneof of attributes.
//!
//! The protocol relates them by name: `timer_started_event_attributes` belongs to `EVENT_TYPE_TIMER_STARTED`.

use std::{collections::BTreeSet, fmt::Write};

use prost_build::Module;
use prost_types::{DescriptorProto, EnumDescriptorProto, FileDescriptorSet};

use crate::{Result, code::Files};

/// A message that has an enum of types beside a oneof of attributes.
struct Typed {
    package: &'static str,
    message: &'static str,
    /// The suffix of the name of each member of the oneof.
    suffix: &'static str,
    enum_package: &'static str,
    r#enum: &'static str,
    /// The prefix of the name of each value of the enum.
    prefix: &'static str,
    method: &'static str,
}

const TYPED: [Typed; 2] = [
    Typed {
        package: "temporal.api.history.v1",
        message: "HistoryEvent",
        suffix: "_event_attributes",
        enum_package: "temporal.api.enums.v1",
        r#enum: "EventType",
        prefix: "EVENT_TYPE_",
        method: "event_type",
    },
    Typed {
        package: "temporal.api.command.v1",
        message: "Command",
        suffix: "_command_attributes",
        enum_package: "temporal.api.enums.v1",
        r#enum: "CommandType",
        prefix: "COMMAND_TYPE_",
        method: "command_type",
    },
];

/// Appends the methods, and the conversions of messages into attributes, to the files of their packages.
pub(crate) fn append(files: &mut Files, set: &FileDescriptorSet) -> Result<()> {
    for typed in &TYPED {
        let code = typed.code(set)?;
        let name = Module::from_protobuf_package_name(typed.package).to_file_name_or("root");
        files.get_mut(&name).ok_or_else(|| format!("no file {name}"))?.extend(code.into_bytes());
    }
    Ok(())
}

impl Typed {
    fn code(&self, set: &FileDescriptorSet) -> Result<String> {
        let names = self.names(set)?;
        let oneof = format!("{}::Attributes", snake(self.message));
        let up = "super::".repeat(self.package.split('.').count());
        let r#enum = format!("{up}{}::{}", self.enum_package.replace('.', "::"), self.r#enum);
        let variant = |name: &str| camel(&format!("{name}{}", self.suffix));

        let mut code = format!("use {enum} as TypeOfAttributes;\nimpl {oneof} {{\n");
        code.push_str("    /// The type that goes with these attributes.\n    #[must_use]\n");
        writeln!(code, "    pub const fn {}(&self) -> TypeOfAttributes {{\n        match self {{", self.method)?;
        for name in &names {
            writeln!(code, "            Self::{}(_) => TypeOfAttributes::{},", variant(name), camel(name))?;
        }
        code.push_str("        }\n    }\n}\n");
        for name in &names {
            let variant = variant(name);
            writeln!(code, "impl From<{variant}> for {oneof} {{\n    fn from(attributes: {variant}) -> Self {{")?;
            writeln!(code, "        Self::{variant}(attributes.into())\n    }}\n}}")?;
        }
        Ok(code)
    }

    /// Returns the names that members and values have in common, as the members have them. Fails if a member or a value has no
    /// counterpart.
    fn names(&self, set: &FileDescriptorSet) -> Result<Vec<String>> {
        let message = message(set, self.package, self.message)?;
        let members = message.field.iter().filter(|field| field.oneof_index.is_some() && !field.proto3_optional());
        let names = members.map(|member| match member.name().strip_suffix(self.suffix) {
            Some(name) => Ok(name.to_owned()),
            None => Err(format!("{}.{} does not end with {}", self.message, member.name(), self.suffix)),
        });
        let names = names.collect::<std::result::Result<Vec<_>, _>>()?;

        let values = enumeration(set, self.enum_package, self.r#enum)?.value.iter().filter(|value| value.number() != 0);
        let values = values.map(|value| value.name().trim_start_matches(self.prefix).to_lowercase());
        let (values, members): (BTreeSet<_>, BTreeSet<_>) = (values.collect(), names.iter().cloned().collect());
        let alone: Vec<_> = values.symmetric_difference(&members).collect();
        match alone.is_empty() {
            true => Ok(names),
            false => Err(format!("{} and {} do not go together: {alone:?}", self.message, self.r#enum).into()),
        }
    }
}

fn message<'a>(set: &'a FileDescriptorSet, package: &str, name: &str) -> Result<&'a DescriptorProto> {
    let files = set.file.iter().filter(|file| file.package() == package);
    let found = files.flat_map(|file| &file.message_type).find(|message| message.name() == name);
    found.ok_or_else(|| format!("no message {package}.{name}").into())
}

fn enumeration<'a>(set: &'a FileDescriptorSet, package: &str, name: &str) -> Result<&'a EnumDescriptorProto> {
    let files = set.file.iter().filter(|file| file.package() == package);
    let found = files.flat_map(|file| &file.enum_type).find(|r#enum| r#enum.name() == name);
    found.ok_or_else(|| format!("no enum {package}.{name}").into())
}

/// Converts `timer_started` to `TimerStarted`.
fn camel(name: &str) -> String {
    name.split('_').map(|word| word[..1].to_uppercase() + &word[1..]).collect()
}

/// Converts `HistoryEvent` to `history_event`.
fn snake(name: &str) -> String {
    let mut snake = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    snake
}

#[cfg(test)]
mod tests {
    use prost_types::{EnumValueDescriptorProto, FieldDescriptorProto, FileDescriptorProto};

    use super::*;

    const DOOR: Typed = Typed {
        package: "house.doors",
        message: "FrontDoor",
        suffix: "_attributes",
        enum_package: "house.kinds",
        r#enum: "Kind",
        prefix: "KIND_",
        method: "kind",
    };

    fn set(members: &[&str], values: &[&str]) -> FileDescriptorSet {
        let member = |name: &&str| FieldDescriptorProto {
            name: Some((*name).to_owned()),
            oneof_index: Some(0),
            ..Default::default()
        };
        let plain = FieldDescriptorProto { name: Some("number".to_owned()), ..Default::default() };
        let door = DescriptorProto {
            name: Some("FrontDoor".to_owned()),
            field: members.iter().map(member).chain([plain]).collect(),
            ..Default::default()
        };
        let value = |(number, name): (i32, &&str)| EnumValueDescriptorProto {
            name: Some((*name).to_owned()),
            number: Some(number),
            ..Default::default()
        };
        let kind = EnumDescriptorProto {
            name: Some("Kind".to_owned()),
            value: (0..).zip(values).map(value).collect(),
            ..Default::default()
        };
        let file = |package: &str| FileDescriptorProto { package: Some(package.to_owned()), ..Default::default() };
        let doors = FileDescriptorProto { message_type: vec![door], ..file("house.doors") };
        FileDescriptorSet { file: vec![doors, FileDescriptorProto { enum_type: vec![kind], ..file("house.kinds") }] }
    }

    #[test]
    fn each_member_has_the_type_of_its_name() {
        let code = DOOR.code(&set(&["wide_open_attributes"], &["KIND_UNSPECIFIED", "KIND_WIDE_OPEN"])).unwrap();
        assert!(code.starts_with("use super::super::house::kinds::Kind as TypeOfAttributes;"), "{code}");
        assert!(code.contains("impl front_door::Attributes {"), "{code}");
        assert!(code.contains("Self::WideOpenAttributes(_) => TypeOfAttributes::WideOpen,"), "{code}");
        assert!(code.contains("impl From<WideOpenAttributes> for front_door::Attributes {"), "{code}");
    }

    #[test]
    fn members_without_a_type_and_types_without_a_member_are_errors() {
        let both = ["KIND_UNSPECIFIED", "KIND_OPEN", "KIND_SHUT"];
        let error = |members: &[&str], values: &[&str]| DOOR.code(&set(members, values)).unwrap_err().to_string();
        assert!(error(&["open_attributes"], &both).contains(r#"["shut"]"#));
        assert!(error(&["open_attributes", "shut_attributes"], &both[..2]).contains(r#"["shut"]"#));
        assert!(error(&["open"], &both[..2]).contains("FrontDoor.open does not end with _attributes"));
    }
}
