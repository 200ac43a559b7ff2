//! The namespaces of an engine.
//!
//! All of them are in memory, and saved in the store before a change is answered: a namespace is usable the moment its
//! registration returns. `default` is always there.

mod error;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use everloop_proto::temporal::api::enums::v1::{ArchivalState, NamespaceState, ReplicationState};
use everloop_proto::temporal::api::namespace::v1::namespace_info::{Capabilities, Limits};
use everloop_proto::temporal::api::namespace::v1::{BadBinaries, NamespaceConfig, NamespaceInfo};
use everloop_proto::temporal::api::replication::v1::{ClusterReplicationConfig, NamespaceReplicationConfig};
use everloop_proto::temporal::api::workflowservice::v1::{
    DeprecateNamespaceRequest, DeprecateNamespaceResponse, DescribeNamespaceRequest, DescribeNamespaceResponse,
    ListNamespacesRequest, ListNamespacesResponse, RegisterNamespaceRequest, RegisterNamespaceResponse,
    UpdateNamespaceRequest, UpdateNamespaceResponse,
};
use prost::Message;
use prost_types::Duration;
use uuid::Uuid;

pub(crate) use self::error::NamespaceError;
use crate::model::{NamespaceKey, NamespaceNames};
use crate::store::{Record, RecordKind, Store, StoreError};

/// The namespace that always exists.
pub(crate) const DEFAULT: &str = "default";

/// The name of the one cluster there is.
pub(crate) const CLUSTER: &str = "active";

const NAME_BYTES_MAX: usize = 1000;
const NAMESPACES_MAX: usize = 10_000;
const PAGE_SIZE_MAX: usize = 100;
const DAY_SECONDS: i64 = 24 * 60 * 60;
const RETENTION_SECONDS_MIN: i64 = 60 * 60;
const RETENTION_SECONDS_MAX: i64 = 100 * 365 * DAY_SECONDS;

/// Every namespace of one engine.
#[derive(Debug)]
pub(crate) struct Namespaces {
    store: Arc<dyn Store>,
    by_name: RwLock<BTreeMap<Arc<str>, Arc<Namespace>>>,
    /// Held while a change is saved, so that two changes cannot undo each other.
    changing: Mutex<()>,
}

/// One namespace, as it was when it was looked up.
#[derive(Clone, Debug)]
pub(crate) struct Namespace {
    pub(crate) key: NamespaceKey,
    pub(crate) name: Arc<str>,
    /// The id that other servers of the protocol know namespaces by.
    id: Arc<str>,
    /// Without capabilities and limits, which come with the program, not with the store.
    description: DescribeNamespaceResponse,
}

impl Namespaces {
    /// Loads what the store has, and adds `default` and the named ones where they are missing.
    ///
    /// # Errors
    ///
    /// A name that cannot be a namespace, or a store that has failed.
    pub(crate) fn open(store: Arc<dyn Store>, names: &[String]) -> Result<Self, NamespaceError> {
        let namespaces = Self::load(store)?;
        for name in [DEFAULT].into_iter().chain(names.iter().map(String::as_str)) {
            namespaces.ensure(name)?;
        }
        Ok(namespaces)
    }

    /// Loads what the store has.
    ///
    /// # Errors
    ///
    /// A store that has failed.
    pub(crate) fn load(store: Arc<dyn Store>) -> Result<Self, NamespaceError> {
        let mut by_name = BTreeMap::new();
        for Record { namespace: key, name, data, .. } in store.load_records(RecordKind::Namespace)? {
            let description = DescribeNamespaceResponse::decode(data)
                .map_err(|error| StoreError::Failed { reason: format!("namespace {name}: {error}").into() })?;
            by_name.insert(Arc::clone(&name), Arc::new(Namespace::new(key, name, description)));
        }
        Ok(Self { store, by_name: RwLock::new(by_name), changing: Mutex::new(()) })
    }

    /// Adds a namespace if there is none of that name, with what `default` has.
    ///
    /// # Errors
    ///
    /// A name that cannot be a namespace.
    pub(crate) fn ensure(&self, name: &str) -> Result<(), NamespaceError> {
        let retention = Duration { seconds: 30 * DAY_SECONDS, nanos: 0 };
        let request = RegisterNamespaceRequest {
            namespace: name.to_owned(),
            workflow_execution_retention_period: Some(retention),
            ..Default::default()
        };
        match self.register(request) {
            Ok(_) | Err(NamespaceError::AlreadyExists { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// All of them.
    pub(crate) fn all(&self) -> Vec<Arc<Namespace>> {
        self.by_name.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// The namespace with that key.
    pub(crate) fn with_key(&self, key: NamespaceKey) -> Option<Arc<Namespace>> {
        let all = self.by_name.read().unwrap_or_else(PoisonError::into_inner);
        all.values().find(|namespace| namespace.key == key).cloned()
    }

    /// The namespace of that name.
    ///
    /// # Errors
    ///
    /// `NotSet` without a name, `TooLong`, `NotFound`.
    pub(crate) fn find(&self, name: &str) -> Result<Arc<Namespace>, NamespaceError> {
        check_name(name)?;
        self.known(name).ok_or_else(|| NamespaceError::NotFound { name: name.to_owned() })
    }

    /// Adds a namespace.
    ///
    /// # Errors
    ///
    /// A wrong name, retention or cluster, a name that is taken, and settings that this server does not have.
    pub(crate) fn register(
        &self,
        request: RegisterNamespaceRequest,
    ) -> Result<RegisterNamespaceResponse, NamespaceError> {
        check_name(&request.namespace)?;
        if request.is_global_namespace {
            let message = "Cannot register global namespace when not enabled";
            return Err(NamespaceError::InvalidArgument(message.to_owned()));
        }
        let retention = retention(request.workflow_execution_retention_period)?;
        let changing = self.lock_changes();
        if self.known(&request.namespace).is_some() {
            return Err(NamespaceError::AlreadyExists { name: request.namespace });
        }
        check_clusters(&request.active_cluster_name, &request.clusters)?;
        check_archival([
            ("history_archival_state", request.history_archival_state, &request.history_archival_uri),
            ("visibility_archival_state", request.visibility_archival_state, &request.visibility_archival_uri),
        ])?;

        let info = NamespaceInfo {
            name: request.namespace,
            state: NamespaceState::Registered.into(),
            description: request.description,
            owner_email: request.owner_email,
            data: request.data,
            id: Uuid::now_v7().to_string(),
            ..Default::default()
        };
        let config = NamespaceConfig {
            workflow_execution_retention_ttl: Some(retention),
            bad_binaries: Some(BadBinaries::default()),
            history_archival_state: ArchivalState::Disabled.into(),
            visibility_archival_state: ArchivalState::Disabled.into(),
            ..Default::default()
        };
        let replication_config = NamespaceReplicationConfig {
            active_cluster_name: CLUSTER.to_owned(),
            clusters: vec![ClusterReplicationConfig { cluster_name: CLUSTER.to_owned(), ..Default::default() }],
            state: ReplicationState::Normal.into(),
        };
        let name = Arc::from(info.name.as_str());
        let description = DescribeNamespaceResponse {
            namespace_info: Some(info),
            config: Some(config),
            replication_config: Some(replication_config),
            ..Default::default()
        };
        let key = self.new_key()?;
        self.save(&changing, Namespace::new(key, name, description));
        Ok(RegisterNamespaceResponse {})
    }

    /// Describes a namespace, by name or by id.
    ///
    /// # Errors
    ///
    /// `NotSet` without either, `NotFound`.
    pub(crate) fn describe(
        &self,
        request: &DescribeNamespaceRequest,
    ) -> Result<DescribeNamespaceResponse, NamespaceError> {
        if !request.namespace.is_empty() || request.id.is_empty() {
            return Ok(self.find(&request.namespace)?.describe());
        }
        let all = self.by_name.read().unwrap_or_else(PoisonError::into_inner);
        let found = all.values().find(|namespace| namespace.id() == request.id);
        let found = found.ok_or_else(|| NamespaceError::NotFound { name: request.id.clone() })?;
        Ok(found.describe())
    }

    /// Changes what is set in the request; `data` is merged by key.
    ///
    /// # Errors
    ///
    /// `NotFound`, a wrong retention or state, and settings that this server does not have.
    pub(crate) fn update(&self, request: UpdateNamespaceRequest) -> Result<UpdateNamespaceResponse, NamespaceError> {
        let changing = self.lock_changes();
        let mut namespace = Namespace::clone(&*self.find(&request.namespace)?);
        check_update(&request)?;
        let info = namespace.description.namespace_info.get_or_insert_default();
        if let Some(update) = request.update_info {
            if !update.description.is_empty() {
                info.description = update.description;
            }
            if !update.owner_email.is_empty() {
                info.owner_email = update.owner_email;
            }
            info.data.extend(update.data);
            info.state = updated_state(info.state(), update.state)?.into();
        }
        if let Some(update) = request.config.and_then(|config| config.workflow_execution_retention_ttl) {
            let config = namespace.description.config.get_or_insert_default();
            config.workflow_execution_retention_ttl = Some(retention(Some(update))?);
        }
        let described = namespace.describe();
        self.save(&changing, namespace);
        Ok(UpdateNamespaceResponse {
            namespace_info: described.namespace_info,
            config: described.config,
            replication_config: described.replication_config,
            failover_version: described.failover_version,
            is_global_namespace: described.is_global_namespace,
        })
    }

    /// Lets the namespace take no new runs.
    ///
    /// # Errors
    ///
    /// `NotFound`.
    pub(crate) fn deprecate(
        &self,
        request: &DeprecateNamespaceRequest,
    ) -> Result<DeprecateNamespaceResponse, NamespaceError> {
        let changing = self.lock_changes();
        let mut namespace = Namespace::clone(&*self.find(&request.namespace)?);
        namespace.description.namespace_info.get_or_insert_default().state = NamespaceState::Deprecated.into();
        self.save(&changing, namespace);
        Ok(DeprecateNamespaceResponse {})
    }

    /// A page of namespaces, by name. The token of a page is the last name on it.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for a token that no page had.
    pub(crate) fn list(&self, request: &ListNamespacesRequest) -> Result<ListNamespacesResponse, NamespaceError> {
        let page_size = match usize::try_from(request.page_size) {
            Ok(0) | Err(_) => PAGE_SIZE_MAX,
            Ok(page_size) => page_size.min(PAGE_SIZE_MAX),
        };
        let after = match str::from_utf8(&request.next_page_token) {
            Ok("") => Bound::Unbounded,
            Ok(name) => Bound::Excluded(name),
            Err(_) => return Err(NamespaceError::InvalidArgument("Invalid NextPageToken.".to_owned())),
        };
        let all = self.by_name.read().unwrap_or_else(PoisonError::into_inner);
        let mut rest = all.range::<str, _>((after, Bound::Unbounded));
        let page: Vec<_> = rest.by_ref().take(page_size).collect();
        let next_page_token = match (page.last(), rest.next()) {
            (Some((name, _)), Some(_)) => name.as_bytes().to_vec().into(),
            _ => Default::default(),
        };
        let namespaces = page.into_iter().map(|(_, namespace)| namespace.describe()).collect();
        Ok(ListNamespacesResponse { namespaces, next_page_token })
    }

    fn known(&self, name: &str) -> Option<Arc<Namespace>> {
        self.by_name.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    fn lock_changes(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn new_key(&self) -> Result<NamespaceKey, NamespaceError> {
        let all = self.by_name.read().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= NAMESPACES_MAX {
            return Err(NamespaceError::TooMany { count: all.len() });
        }
        let last = all.values().map(|namespace| namespace.key.0).max();
        Ok(NamespaceKey(last.unwrap_or_default() + 1))
    }

    /// Queues it to be saved, and knows it from now on: callers are answered when what was queued is durable.
    fn save(&self, _changing: &MutexGuard<'_, ()>, namespace: Namespace) {
        let Namespace { key, name, description, .. } = &namespace;
        let data = description.encode_to_vec().into();
        let record = Record { kind: RecordKind::Namespace, namespace: *key, name: Arc::clone(name), data };
        self.store.save_record(record);
        let mut all = self.by_name.write().unwrap_or_else(PoisonError::into_inner);
        all.insert(Arc::clone(name), Arc::new(namespace));
    }
}

impl Namespace {
    fn new(key: NamespaceKey, name: Arc<str>, description: DescribeNamespaceResponse) -> Self {
        let id = description.namespace_info.as_ref().map_or("", |info| &info.id).into();
        Self { key, name, id, description }
    }

    /// Whether new runs may start here.
    ///
    /// # Errors
    ///
    /// `Deprecated`.
    pub(crate) fn check_takes_new_runs(&self) -> Result<(), NamespaceError> {
        match self.description.namespace_info.as_ref().map(NamespaceInfo::state) {
            Some(NamespaceState::Deprecated) => Err(NamespaceError::Deprecated { name: Arc::clone(&self.name) }),
            _ => Ok(()),
        }
    }

    /// The id that other servers of the protocol know namespaces by.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// The namespace as events name it.
    pub(crate) fn names(&self) -> NamespaceNames {
        NamespaceNames { name: Arc::clone(&self.name), id: Arc::clone(&self.id) }
    }

    /// How long closed runs are kept.
    pub(crate) fn retention(&self) -> std::time::Duration {
        let config = self.description.config.as_ref();
        let retention = config.and_then(|config| config.workflow_execution_retention_ttl);
        // Checked when it was set.
        retention.and_then(|retention| retention.try_into().ok()).unwrap_or(std::time::Duration::MAX)
    }

    fn describe(&self) -> DescribeNamespaceResponse {
        let mut description = self.description.clone();
        let info = description.namespace_info.get_or_insert_default();
        info.capabilities = Some(capabilities());
        info.limits = Some(Limits {
            blob_size_limit_error: 2 << 20,
            memo_size_limit_error: 2 << 20,
            workflow_task_completion_size_limit_error: 0,
        });
        description
    }
}

/// A flag is set only if its calls work.
fn capabilities() -> Capabilities {
    Capabilities {
        eager_workflow_start: true,
        sync_update: true,
        async_update: true,
        worker_poll_complete_on_shutdown: true,
        ..Default::default()
    }
}

fn check_name(name: &str) -> Result<(), NamespaceError> {
    match name.len() {
        0 => Err(NamespaceError::NotSet),
        1..=NAME_BYTES_MAX => Ok(()),
        _ => Err(NamespaceError::TooLong),
    }
}

fn retention(retention: Option<Duration>) -> Result<Duration, NamespaceError> {
    match retention {
        Some(Duration { seconds, nanos: 0..1_000_000_000 }) if seconds >= RETENTION_SECONDS_MAX => {
            Ok(Duration { seconds: RETENTION_SECONDS_MAX, nanos: 0 })
        }
        Some(retention @ Duration { seconds: RETENTION_SECONDS_MIN.., nanos: 0..1_000_000_000 }) => Ok(retention),
        _ => Err(NamespaceError::Retention),
    }
}

fn check_clusters(active: &str, clusters: &[ClusterReplicationConfig]) -> Result<(), NamespaceError> {
    if clusters.iter().any(|cluster| cluster.replication_ramp_duration.is_some()) {
        return Err(NamespaceError::Unsupported("clusters.replication_ramp_duration"));
    }
    let mut names = clusters.iter().map(|cluster| cluster.cluster_name.as_str()).chain([active]);
    match names.find(|name| ![CLUSTER, ""].contains(name)) {
        Some(name) => Err(NamespaceError::InvalidArgument(format!("Invalid cluster name: {name}"))),
        None => Ok(()),
    }
}

/// Of histories and of visibility: the field with the state, the state and where the archive is.
fn check_archival(archives: [(&'static str, i32, &String); 2]) -> Result<(), NamespaceError> {
    for (field, state, uri) in archives {
        if state == ArchivalState::Enabled as i32 {
            return Err(NamespaceError::Unsupported(field));
        }
        if !uri.is_empty() {
            return Err(NamespaceError::Unsupported("history_archival_uri or visibility_archival_uri"));
        }
    }
    Ok(())
}

/// Rejects fields that an update does not support.
fn check_update(request: &UpdateNamespaceRequest) -> Result<(), NamespaceError> {
    if let Some(config) = &request.config {
        check_archival([
            ("config.history_archival_state", config.history_archival_state, &config.history_archival_uri),
            ("config.visibility_archival_state", config.visibility_archival_state, &config.visibility_archival_uri),
        ])?;
        if config.bad_binaries.as_ref().is_some_and(|bad| !bad.binaries.is_empty()) {
            return Err(NamespaceError::Unsupported("config.bad_binaries"));
        }
        if !config.custom_search_attribute_aliases.is_empty() {
            return Err(NamespaceError::Unsupported("config.custom_search_attribute_aliases"));
        }
    }
    if let Some(replication) = &request.replication_config {
        check_clusters(&replication.active_cluster_name, &replication.clusters)?;
        if replication.state() == ReplicationState::Handover {
            return Err(NamespaceError::Unsupported("replication_config.state HANDOVER"));
        }
    }
    if !request.delete_bad_binary.is_empty() {
        let message = format!("Bad binary checksum {} doesn't exists.", request.delete_bad_binary);
        return Err(NamespaceError::InvalidArgument(message));
    }
    if request.promote_namespace {
        let message = format!(
            "global namespace is not enabled on this cluster, cannot update global namespace or promote local \
             namespace: {}",
            request.namespace
        );
        return Err(NamespaceError::InvalidArgument(message));
    }
    Ok(())
}

/// The only change of state is to be deprecated.
fn updated_state(old: NamespaceState, new: i32) -> Result<NamespaceState, NamespaceError> {
    match NamespaceState::try_from(new) {
        Ok(NamespaceState::Unspecified) => Ok(old),
        Ok(new) if new == old => Ok(old),
        Ok(NamespaceState::Deprecated) if old == NamespaceState::Registered => Ok(NamespaceState::Deprecated),
        Ok(NamespaceState::Deleted) => Err(NamespaceError::Unsupported("update_info.state DELETED")),
        _ => Err(NamespaceError::StateUpdate),
    }
}
