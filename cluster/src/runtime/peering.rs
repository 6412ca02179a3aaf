//! A node among others: the mesh, the door for newcomers, and its part in the cluster.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use storage::clock;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::metrics::MeshMetrics;
use crate::placement::cluster::Candidate;
use crate::runtime::attention::Attention;
use crate::runtime::backfill::Backfill;
use crate::runtime::detector::Watch;
use crate::runtime::handovers::{Handovers, Reports};
use crate::runtime::identity::{Identity, Origin};
use crate::runtime::joining::{JoinError, MeshSettings, keep_the_door};
use crate::runtime::membership::{ClusterHandle, Learned, Membership};
use crate::runtime::mesh::calls::Calls;
use crate::runtime::mesh::{Mesh, PeerAddress};
use crate::runtime::network::Network;
use crate::runtime::readmission::Seeking;
use crate::runtime::reception::{KNOCKS_MAX, Reception};
use crate::runtime::services::Services;
use crate::runtime::starts::Starts;
use crate::shard::question::Fitness;
use crate::wire::Lane;
use crate::wire::greeting::ClusterId;

/// Between questions where the others are, while this node knows of none.
const SEARCH_PAUSE: Duration = Duration::from_secs(1);

pub(crate) struct Peering {
    pub(crate) settings: MeshSettings,
    pub(crate) identity: Identity,
    pub(crate) starts: Arc<Starts>,
    pub(crate) metrics: MeshMetrics,
}

impl Peering {
    /// Opens the port and begins to take part.
    pub(crate) async fn begin(
        self,
        services: &Arc<Services>,
        handle: &ClusterHandle,
    ) -> Result<Vec<JoinHandle<()>>, JoinError> {
        let Self { settings, identity, starts, metrics } = self;
        let disk = Arc::clone(&services.snapshot_folder.disk);
        let config = settings.mesh(ClusterId(identity.cluster), identity.node)?;
        let (mesh, listening) = Mesh::bind(config, metrics).await?;
        let calls = Calls::new(mesh.clone(), Lane::Calls);
        let bulk = Calls::new(mesh.clone(), Lane::Bulk);
        let (knock, knocks) = mpsc::channel(KNOCKS_MAX);
        let reception = Reception::new(services, disk, (calls.clone(), bulk.clone()), knock);
        if services.network.set(Network { mesh: mesh.clone(), calls, bulk }).is_err() {
            unreachable!("a node begins to take part once");
        }
        listening.serve(Arc::new(reception));
        tracing::info!(
            node.id = identity.node.0,
            mesh.address = %mesh.address(),
            "part of a cluster"
        );
        let me = settings.candidate(identity.folder, starts.current());
        let membership = Membership {
            services: Arc::clone(services),
            handle: handle.clone(),
            map: services.map,
            rule: settings.placement,
            known_since: BTreeMap::new(),
            handovers: Handovers::default(),
            reports: Reports::default(),
            told: Fitness::Fit,
            tell_again: 0,
            attention: Attention::default(),
            learned_at: None,
            starts,
            seeking: Seeking::new(settings.clone(), me.clone()),
            founds: identity.origin == Origin::Founded,
            is_announced: false,
            parted: BTreeMap::new(),
            counted: clock::monotonic(),
            learned: Learned::Nothing,
        };
        let door = keep_the_door(knocks, handle.clone(), identity.clone());
        let search = search(settings, me, mesh, Arc::clone(services));
        let watch = Watch::new(services).run();
        let backfill = Backfill::new(services).run();
        Ok(vec![
            tokio::spawn(membership.run()),
            tokio::spawn(door),
            tokio::spawn(search),
            tokio::spawn(watch),
            tokio::spawn(backfill),
        ])
    }
}

/// Asks members where the others are, until this node's own copy of the cluster says so.
async fn search(settings: MeshSettings, me: Candidate, mesh: Mesh, services: Arc<Services>) {
    while services.cluster.borrow().version() == 0 {
        for seed in &settings.join {
            let members = settings.members_known_to(&mesh, seed, &me).await;
            for (node, address) in members.into_iter().flatten() {
                mesh.set_peer(node, PeerAddress(address));
            }
        }
        tokio::time::sleep(SEARCH_PAUSE).await;
    }
}
