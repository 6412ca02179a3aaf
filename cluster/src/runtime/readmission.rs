//! A node that starts anew asks whether it may go on as who it was.
//!
//! **Invariants:** nothing is led and no message of Raft is sent or taken before the answer; a refusal
//! is final, whoever of the others remembers the reason; a folder in its first run has nothing to have
//! forgotten and asks nobody. See `starts` for what is compared, and why.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::ids::{NodeId, ShardId};
use crate::placement::cluster::{Candidate, Cluster};
use crate::placement::member::Member;
use crate::runtime::joining::{MeshSettings, Welcome};
use crate::runtime::leaders::Known;
use crate::runtime::membership::ClusterHandle;
use crate::runtime::services::Services;
use crate::runtime::shard_actor::ShardMessage;
use crate::shard::io::Input;

/// What one round of asking may take.
const ROUND_MAX: Duration = Duration::from_secs(3);

/// Whether this node may take part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// It is not known yet.
    Awaited,
    Granted,
    Refused {
        why: String,
    },
}

impl Services {
    pub(crate) fn is_admitted(&self) -> bool {
        *self.admission.borrow() == Admission::Granted
    }

    /// From now on this node takes part.
    pub(crate) fn admit(&self) {
        let granted = self.admission.send_if_modified(|admission| {
            let awaited = *admission == Admission::Awaited;
            if awaited {
                *admission = Admission::Granted;
            }
            awaited
        });
        if granted {
            tracing::info!("the cluster knows this folder");
            for actor in self.shards.all() {
                // An actor that is gone starts nothing.
                actor.cast(ShardMessage::Admitted).ok();
            }
        }
    }

    /// This node takes no part, and will not.
    pub(crate) fn refuse(&self, why: String) {
        tracing::error!("the cluster refuses this node: {why}");
        self.admission.send_replace(Admission::Refused { why });
        for group in self.map.groups() {
            self.shards.send(group, Input::StepDown);
        }
    }
}

/// What the others said so far.
pub(crate) struct Seeking {
    pub(crate) settings: MeshSettings,
    pub(crate) me: Candidate,
    /// Those that remember nothing against this node and know no leader of `meta` to ask.
    unled: BTreeSet<NodeId>,
    has_asked: bool,
}

impl Seeking {
    pub(crate) fn new(settings: MeshSettings, me: Candidate) -> Self {
        Self { settings, me, unled: BTreeSet::new(), has_asked: false }
    }

    /// Asks everybody once.
    pub(crate) async fn ask_around(&mut self, services: &Arc<Services>, founded: bool) {
        let cluster = Arc::clone(&services.cluster.borrow());
        let others = self.others(services.node, &cluster);
        if others.is_empty() && (founded || cluster.version() > 0) {
            return services.admit();
        }
        if !std::mem::replace(&mut self.has_asked, true) {
            tracing::info!("waits for other nodes to say whether this folder is the latest");
        }
        let mut asked = JoinSet::new();
        for address in others.into_values() {
            let (settings, services) = (self.settings.clone(), Arc::clone(services));
            let me = self.me.clone();
            asked.spawn(async move {
                let network = services.network.get()?;
                settings.knock(&network.mesh, &address, &me).await.ok()
            });
        }
        let answers = async {
            while let Some(answered) = asked.join_next().await {
                match answered.ok().flatten() {
                    Some((_, Welcome::Member(_))) => return services.admit(),
                    Some((_, Welcome::Refused { why })) => return services.refuse(why),
                    Some((node, Welcome::Unled)) => drop(self.unled.insert(node)),
                    Some((_, Welcome::NotNow { .. })) | None => {}
                }
            }
        };
        // Who does not answer in time is asked again in the next round.
        tokio::time::timeout(ROUND_MAX, answers).await.ok();
        if !is_decided(services) && is_majority(services.node, &cluster, &self.unled) {
            services.admit();
        }
    }

    /// Where to ask, by a name of each place.
    fn others(&self, me: NodeId, cluster: &Cluster) -> BTreeMap<String, String> {
        let there =
            cluster.members().filter(|(node, member)| *node != me && member.standing.takes_part());
        let known = there.map(|(_, member)| member.address.clone());
        let seeds = self.settings.join.iter().cloned();
        let own = &self.settings.advertise;
        known.chain(seeds).filter(|address| address != own).map(|a| (a.clone(), a)).collect()
    }
}

fn is_decided(services: &Services) -> bool {
    *services.admission.borrow() != Admission::Awaited
}

/// Whether these nodes, with this one, could make a leader of `meta`.
fn is_majority(me: NodeId, cluster: &Cluster, others: &BTreeSet<NodeId>) -> bool {
    let Some(place) = cluster.place(ShardId::META) else { return false };
    let n = place.voters.iter().filter(|node| **node == me || others.contains(node)).count();
    n * 2 > place.voters.len()
}

impl ClusterHandle {
    /// What can be said to a node without asking anybody; `None` where the leader of `meta` is to be
    /// asked.
    pub(crate) fn answer_from_memory(&self, candidate: &Candidate) -> Option<Welcome> {
        let cluster = self.known();
        let not_now = |why: &str| Some(Welcome::NotNow { why: why.to_owned() });
        if cluster.version() == 0 {
            return not_now("this node does not know its cluster yet");
        }
        if let Err(rejection) = cluster.recall(candidate) {
            return Some(Welcome::Refused { why: rejection.to_string() });
        }
        let of_folder = |(_, member): &(NodeId, &Member)| member.folder == candidate.folder;
        let known = cluster.members().find(of_folder).map(|(node, _)| node);
        match self.leader_of_meta() {
            // That it leads can only be from before it was restarted.
            Known::There(leader) if Some(leader) == known => Some(Welcome::Unled),
            Known::Here | Known::There(_) | Known::NotHeld(_) => None,
            Known::Nobody | Known::Fenced if known.is_some() => Some(Welcome::Unled),
            // It takes more than memory to let a newcomer in.
            Known::Nobody | Known::Fenced => not_now("the cluster has no leader at the moment"),
        }
    }
}
