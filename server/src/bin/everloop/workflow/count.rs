//! `everloop workflow count`.

use std::io::Write;

use everloop_proto::temporal::api::workflowservice::v1::workflow_service_client::WorkflowServiceClient;
use everloop_proto::temporal::api::workflowservice::v1::{
    CountWorkflowExecutionsRequest, CountWorkflowExecutionsResponse,
};
use serde_json::{Value, json};

use super::connection::Connection;
use super::error::CommandError;
use super::print::table::facts;
use super::print::{json, text};
use crate::arguments::workflow::{CountArguments, OutputFormat};

pub(super) async fn count(
    server: &Connection,
    count: CountArguments,
    output: OutputFormat,
    out: &mut impl Write,
) -> Result<(), CommandError> {
    let request = CountWorkflowExecutionsRequest { namespace: server.namespace(), query: count.query };
    let counted = server.call(request, WorkflowServiceClient::count_workflow_executions).await?;
    print(&counted, output, out)
}

fn print(
    counted: &CountWorkflowExecutionsResponse,
    output: OutputFormat,
    out: &mut impl Write,
) -> Result<(), CommandError> {
    if output == OutputFormat::Json {
        return json::write(&protocol_json(counted)?, out);
    }
    let name = |values: &[_]| values.iter().map(text::payload).collect::<Vec<_>>().join(", ");
    let groups: Vec<_> = counted.groups.iter().map(|group| (name(&group.group_values), group.count)).collect();
    let mut rows = vec![("Total", counted.count.to_string())];
    rows.extend(groups.iter().map(|(name, count)| (name.trim_matches('"'), count.to_string())));
    Ok(facts(&rows, out)?)
}

/// The protocol's JSON, which writes 64-bit numbers as strings.
fn protocol_json(counted: &CountWorkflowExecutionsResponse) -> Result<Value, CommandError> {
    let mut value = json!({ "count": counted.count.to_string() });
    let mut groups = Vec::new();
    for group in &counted.groups {
        let values = group.group_values.iter().map(json::value).collect::<Result<Vec<_>, _>>()?;
        groups.push(json!({ "groupValues": values, "count": group.count.to_string() }));
    }
    if !groups.is_empty() {
        value["groups"] = groups.into();
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use everloop_proto::temporal::api::common::v1::Payload;
    use everloop_proto::temporal::api::workflowservice::v1::count_workflow_executions_response::AggregationGroup;
    use expect_test::expect;

    use super::*;

    #[test]
    fn counts_are_shown_with_their_groups() {
        let group = |name: &str, count| {
            let metadata = [("encoding".to_owned(), "json/plain".into())].into();
            let data = format!("\"{name}\"").into_bytes().into();
            AggregationGroup { group_values: vec![Payload { metadata, data, ..Default::default() }], count }
        };
        let groups = vec![group("Running", 2), group("Completed", 40)];
        let counted = CountWorkflowExecutionsResponse { count: 42, groups };
        let printed = |output| {
            let mut out = Vec::new();
            print(&counted, output, &mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        expect![[r#"
            Total      42
            Running    2
            Completed  40
        "#]]
        .assert_eq(&printed(OutputFormat::Text));
        expect![[r#"
            {
              "count": "42",
              "groups": [
                {
                  "count": "2",
                  "groupValues": [
                    "Running"
                  ]
                },
                {
                  "count": "40",
                  "groupValues": [
                    "Completed"
                  ]
                }
              ]
            }
        "#]]
        .assert_eq(&printed(OutputFormat::Json));
    }
}
