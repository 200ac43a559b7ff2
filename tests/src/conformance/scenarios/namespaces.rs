//! Namespaces.

use std::collections::BTreeMap;

use everloop_proto::temporal::api::{
    namespace::v1::{NamespaceConfig, UpdateNamespaceInfo},
    workflowservice::v1 as service,
};

use super::super::{commands::*, script::Script, suite::scenarios};

scenarios!["namespaces":
    registered_and_described,
    registered_twice,
    registrations_that_are_wrong,
    updated,
    deprecated,
    unknown,
];

fn register_request(s: &Script, name: &str) -> service::RegisterNamespaceRequest {
    service::RegisterNamespaceRequest {
        namespace: s.name(name),
        description: "for one scenario".into(),
        owner_email: "nobody@example.com".into(),
        workflow_execution_retention_period: seconds(86_400),
        data: [("key".into(), "value".into())].into(),
        ..Default::default()
    }
}

fn describe_request(s: &Script, name: &str) -> service::DescribeNamespaceRequest {
    service::DescribeNamespaceRequest { namespace: s.name(name), ..Default::default() }
}

/// The description of a namespace, without the server's capabilities.
async fn described(s: &mut Script, name: &str) {
    let reply = s.quietly(describe_request(s, name)).await.expect("a description");
    let (info, config) = (reply.namespace_info.expect("an info"), reply.config.expect("a config"));
    let retention = config.workflow_execution_retention_ttl.expect("a retention").seconds;
    let data: BTreeMap<_, _> = info.data.iter().collect();
    s.note(&format!("{:?} {} {:?} {} {data:?}", info.state(), info.name, info.description, info.owner_email));
    s.note(&format!("keeps closed runs {retention} s, global: {}", reply.is_global_namespace));
    assert!(!info.id.is_empty(), "a namespace has an id");
    let by_id = service::DescribeNamespaceRequest { id: info.id, ..Default::default() };
    let again = s.quietly(by_id).await.expect("the same").namespace_info.expect("an info");
    assert_eq!(again.name, info.name, "by id it is the same");
}

async fn registered_and_described(s: &mut Script) {
    let register = register_request(s, "ns");
    s.call(register).await;
    described(s, "ns").await;
}

async fn registered_twice(s: &mut Script) {
    let register = register_request(s, "ns");
    s.call(register.clone()).await;
    s.refused(register).await;
}

async fn registrations_that_are_wrong(s: &mut Script) {
    let mut bad = vec![register_request(s, "ns"); 4];
    bad[0].namespace = String::new();
    bad[1].workflow_execution_retention_period = None;
    bad[2].workflow_execution_retention_period = seconds(10);
    bad[3].namespace = "n".repeat(1001);
    for request in bad {
        s.refused(request).await;
    }
}

async fn updated(s: &mut Script) {
    let register = register_request(s, "ns");
    s.call(register).await;
    let request = service::UpdateNamespaceRequest {
        namespace: s.name("ns"),
        update_info: Some(UpdateNamespaceInfo {
            description: "changed".into(),
            data: [("other".into(), "one".into())].into(),
            ..Default::default()
        }),
        config: Some(NamespaceConfig { workflow_execution_retention_ttl: seconds(172_800), ..Default::default() }),
        ..Default::default()
    };
    s.quietly(request).await.expect("an update");
    described(s, "ns").await;
}

async fn deprecated(s: &mut Script) {
    let register = register_request(s, "ns");
    s.call(register).await;
    s.call(service::DeprecateNamespaceRequest { namespace: s.name("ns"), ..Default::default() }).await;
    described(s, "ns").await;
}

async fn unknown(s: &mut Script) {
    let describe = describe_request(s, "nowhere");
    s.refused(describe).await;
    s.refused(service::DescribeNamespaceRequest::default()).await;
    let update = service::UpdateNamespaceRequest { namespace: s.name("nowhere"), ..Default::default() };
    s.refused(update).await;
    let mut start = s.start_request("wf");
    start.namespace = s.name("nowhere");
    s.refused(start).await;
}
