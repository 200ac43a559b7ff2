use std::collections::HashMap;

use everloop_proto::google::rpc;
use everloop_proto::temporal::api::errordetails::v1::NamespaceNotFoundFailure;
use everloop_proto::temporal::api::namespace::v1::UpdateNamespaceInfo;
use tonic::{Code, Status};

use super::*;
use crate::store::SqliteStore;

fn open() -> Namespaces {
    Namespaces::open(Arc::new(SqliteStore::memory().unwrap()), &[]).unwrap()
}

fn request(name: &str) -> RegisterNamespaceRequest {
    RegisterNamespaceRequest {
        namespace: name.to_owned(),
        workflow_execution_retention_period: Some(hours(1)),
        description: "where we sell".to_owned(),
        owner_email: "shop@example.com".to_owned(),
        data: data(&[("tier", "gold"), ("team", "sales")]),
        ..Default::default()
    }
}

fn update(name: &str) -> UpdateNamespaceRequest {
    UpdateNamespaceRequest { namespace: name.to_owned(), ..Default::default() }
}

fn hours(hours: i64) -> Duration {
    Duration { seconds: hours * 60 * 60, nanos: 0 }
}

fn data(pairs: &[(&str, &str)]) -> HashMap<String, String> {
    pairs.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
}

fn describe(namespaces: &Namespaces, name: &str) -> DescribeNamespaceResponse {
    let request = DescribeNamespaceRequest { namespace: name.to_owned(), ..Default::default() };
    namespaces.describe(&request).unwrap()
}

fn info(namespaces: &Namespaces, name: &str) -> NamespaceInfo {
    describe(namespaces, name).namespace_info.unwrap()
}

#[test]
fn default_always_exists_and_named_ones_are_added() {
    let store = Arc::new(SqliteStore::memory().unwrap());
    let names = ["shop".to_owned(), "default".to_owned()];
    let namespaces = Namespaces::open(Arc::clone(&store) as _, &names).unwrap();
    let default = namespaces.find("default").unwrap();
    assert_eq!(default.check_takes_new_runs(), Ok(()));
    assert_ne!(default.key, namespaces.find("shop").unwrap().key);
    let retention = describe(&namespaces, "default").config.unwrap().workflow_execution_retention_ttl;
    assert_eq!(retention, Some(hours(30 * 24)));

    let again = Namespaces::open(store, &names).unwrap();
    assert_eq!(again.find("default").unwrap().key, default.key);
    assert_eq!(again.find("default").unwrap().id(), default.id());
    assert_eq!(again.by_name.read().unwrap().len(), 2);

    let nameless = Namespaces::open(Arc::new(SqliteStore::memory().unwrap()), &[String::new()]);
    assert_eq!(nameless.unwrap_err(), NamespaceError::NotSet);
}

#[test]
fn a_registered_namespace_is_described_by_name_and_by_id() {
    let namespaces = open();
    namespaces.register(request("shop")).unwrap();
    let found = namespaces.find("shop").unwrap();
    let described = describe(&namespaces, "shop");
    let info = described.namespace_info.clone().unwrap();
    assert_eq!((info.name.as_str(), info.state()), ("shop", NamespaceState::Registered));
    assert_eq!((info.description.as_str(), info.owner_email.as_str()), ("where we sell", "shop@example.com"));
    assert_eq!(info.data, data(&[("tier", "gold"), ("team", "sales")]));
    assert_eq!(info.limits.unwrap().blob_size_limit_error, 2 * 1024 * 1024);
    assert!(info.capabilities.unwrap().sync_update);
    assert_eq!(described.config.as_ref().unwrap().workflow_execution_retention_ttl, Some(hours(1)));
    assert_eq!(described.replication_config.as_ref().unwrap().active_cluster_name, "active");
    let by_id = DescribeNamespaceRequest { id: found.id().to_owned(), ..Default::default() };
    assert_eq!(namespaces.describe(&by_id), Ok(described));
}

#[test]
fn wrong_registrations_are_refused() {
    let namespaces = open();
    let refused = |change: fn(&mut RegisterNamespaceRequest)| {
        let mut request = request("shop");
        change(&mut request);
        namespaces.register(request).unwrap_err()
    };
    assert_eq!(refused(|request| request.namespace.clear()), NamespaceError::NotSet);
    assert_eq!(refused(|request| request.namespace = "x".repeat(1001)), NamespaceError::TooLong);
    assert_eq!(refused(|request| request.workflow_execution_retention_period = None), NamespaceError::Retention);
    for wrong in [Duration { seconds: 3599, nanos: 999_999_999 }, hours(-1), Duration { seconds: 3600, nanos: -1 }] {
        let request = RegisterNamespaceRequest { workflow_execution_retention_period: Some(wrong), ..request("shop") };
        assert_eq!(namespaces.register(request), Err(NamespaceError::Retention));
    }
    let global = refused(|request| request.is_global_namespace = true);
    assert_eq!(global.to_string(), "Cannot register global namespace when not enabled");
    let elsewhere = refused(|request| request.active_cluster_name = "other".to_owned());
    assert_eq!(elsewhere.to_string(), "Invalid cluster name: other");
    let archived = refused(|request| request.visibility_archival_state = ArchivalState::Enabled.into());
    assert_eq!(archived, NamespaceError::Unsupported("visibility_archival_state"));
    assert_eq!(namespaces.find("shop").unwrap_err(), NamespaceError::NotFound { name: "shop".to_owned() });

    namespaces.register(request("shop")).unwrap();
    let taken = namespaces.register(request("shop")).unwrap_err();
    assert_eq!(taken, NamespaceError::AlreadyExists { name: "shop".to_owned() });
}

#[test]
fn a_very_long_retention_is_a_hundred_years() {
    let namespaces = open();
    let forever = Some(Duration { seconds: i64::MAX, nanos: 5 });
    namespaces
        .register(RegisterNamespaceRequest { workflow_execution_retention_period: forever, ..request("shop") })
        .unwrap();
    let retention = describe(&namespaces, "shop").config.unwrap().workflow_execution_retention_ttl;
    assert_eq!(retention, Some(hours(100 * 365 * 24)));
}

#[test]
fn an_update_changes_what_it_sets_and_merges_data() {
    let namespaces = open();
    namespaces.register(request("shop")).unwrap();
    let change = UpdateNamespaceInfo {
        description: "where we sold".to_owned(),
        data: data(&[("tier", "silver"), ("since", "2026")]),
        ..Default::default()
    };
    let config = NamespaceConfig { workflow_execution_retention_ttl: Some(hours(2)), ..Default::default() };
    let answer =
        namespaces.update(UpdateNamespaceRequest { config: Some(config), update_info: Some(change), ..update("shop") });
    let described = describe(&namespaces, "shop");
    assert_eq!(answer.unwrap().namespace_info, described.namespace_info);
    let info = described.namespace_info.unwrap();
    assert_eq!((info.description.as_str(), info.owner_email.as_str()), ("where we sold", "shop@example.com"));
    assert_eq!(info.data, data(&[("tier", "silver"), ("team", "sales"), ("since", "2026")]));
    assert_eq!(described.config.unwrap().workflow_execution_retention_ttl, Some(hours(2)));
}

#[test]
fn wrong_updates_are_refused_and_change_nothing() {
    let namespaces = open();
    namespaces.register(request("shop")).unwrap();
    let before = describe(&namespaces, "shop");
    let refused = |change: fn(&mut UpdateNamespaceRequest)| {
        let mut request = update("shop");
        request.update_info = Some(UpdateNamespaceInfo { description: "other".to_owned(), ..Default::default() });
        change(&mut request);
        namespaces.update(request).unwrap_err().to_string()
    };
    assert_eq!(refused(|request| request.namespace = "nowhere".to_owned()), "Namespace nowhere is not found.");
    assert_eq!(refused(|request| request.delete_bad_binary = "x".to_owned()), "Bad binary checksum x doesn't exists.");
    assert!(refused(|request| request.promote_namespace = true).ends_with("promote local namespace: shop"));
    let short = |request: &mut UpdateNamespaceRequest| {
        request.config.get_or_insert_default().workflow_execution_retention_ttl = Some(hours(0));
    };
    assert_eq!(refused(short), "A valid retention period is not set on request.");
    let archived = |request: &mut UpdateNamespaceRequest| {
        request.config.get_or_insert_default().history_archival_state = ArchivalState::Enabled.into();
    };
    assert_eq!(refused(archived), "config.history_archival_state is not supported by this server");
    let deleted = |request: &mut UpdateNamespaceRequest| {
        request.update_info.get_or_insert_default().state = NamespaceState::Deleted.into();
    };
    assert_eq!(refused(deleted), "update_info.state DELETED is not supported by this server");
    assert_eq!(describe(&namespaces, "shop"), before);
}

#[test]
fn a_deprecated_namespace_takes_no_new_runs_and_stays_deprecated() {
    let namespaces = open();
    namespaces.register(request("shop")).unwrap();
    namespaces.deprecate(&DeprecateNamespaceRequest { namespace: "shop".to_owned(), ..Default::default() }).unwrap();
    assert_eq!(info(&namespaces, "shop").state(), NamespaceState::Deprecated);
    let refusal = Status::from(namespaces.find("shop").unwrap().check_takes_new_runs().unwrap_err());
    assert_eq!(refusal.code(), Code::FailedPrecondition);
    assert_eq!(refusal.message(), "Namespace has invalid state: Deprecated. Must be Registered.");
    let back = UpdateNamespaceInfo { state: NamespaceState::Registered.into(), ..Default::default() };
    let refusal = namespaces.update(UpdateNamespaceRequest { update_info: Some(back), ..update("shop") });
    assert_eq!(refusal, Err(NamespaceError::StateUpdate));
}

#[test]
fn lists_come_in_pages() {
    let namespaces = open();
    for name in ["b", "a", "d", "c"] {
        namespaces.register(request(name)).unwrap();
    }
    let page = |page_size, token: &[u8]| {
        let next_page_token = token.to_vec().into();
        let page = namespaces.list(&ListNamespacesRequest { page_size, next_page_token, namespace_filter: None });
        let page = page.unwrap();
        let names: Vec<_> = page.namespaces.into_iter().map(|found| found.namespace_info.unwrap().name).collect();
        (names.join(" "), page.next_page_token)
    };
    assert_eq!(page(0, b""), ("a b c d default".to_owned(), Default::default()));
    assert_eq!(page(5, b""), ("a b c d default".to_owned(), Default::default()));
    let (names, token) = page(3, b"");
    assert_eq!(names, "a b c");
    assert_eq!(page(3, &token), ("d default".to_owned(), Default::default()));
    let junk = ListNamespacesRequest { next_page_token: vec![0xff].into(), ..Default::default() };
    assert_eq!(Status::from(namespaces.list(&junk).unwrap_err()).code(), Code::InvalidArgument);
}

#[test]
fn an_unknown_namespace_is_named_in_the_error_detail() {
    let status = Status::from(open().find("nowhere").unwrap_err());
    assert_eq!((status.code(), status.message()), (Code::NotFound, "Namespace nowhere is not found."));
    let detail = rpc::Status::decode(status.details()).unwrap();
    assert_eq!((detail.code, detail.message.as_str()), (5, "Namespace nowhere is not found."));
    let failure: NamespaceNotFoundFailure = detail.details[0].to_msg().unwrap();
    assert_eq!(failure.namespace, "nowhere");
}
