//! Who leads which shard, by what nodes log about it.
//!
//! **Invariants:** what a process said before it ended counts no more.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Seek as _, SeekFrom};

use anyhow::Context as _;

use crate::peers::cluster::Cluster;

/// Levels of logs at which nodes say that they lead.
pub(crate) const LOG_LEVEL: &str = "--log-level=warn,ops=info,cluster::runtime::services=debug";

/// What was read of the logs so far.
#[derive(Default)]
pub(crate) struct Leaders {
    nodes: Vec<Said>,
}

#[derive(Default)]
struct Said {
    read: u64,
    /// The last line, while it has no end.
    rest: String,
    leads: BTreeSet<u32>,
}

impl Leaders {
    /// The place of the node that leads, for every shard that somebody leads.
    pub(crate) fn read(&mut self, cluster: &Cluster) -> anyhow::Result<BTreeMap<u32, usize>> {
        let mut leaders = BTreeMap::new();
        for (nth, node) in cluster.nodes.iter().enumerate() {
            if self.nodes.len() <= nth {
                self.nodes.push(Said::default());
            }
            let Some(said) = self.nodes.get_mut(nth) else { continue };
            let mut log = std::fs::File::open(cluster.log_of(node))
                .with_context(|| format!("node {} has no log", node.number))?;
            log.seek(SeekFrom::Start(said.read))?;
            let mut text = String::new();
            said.read += u64::try_from(log.read_to_string(&mut text)?)?;
            said.hear(&text);
            if node.is_running() {
                leaders.extend(said.leads.iter().map(|shard| (*shard, nth)));
            }
        }
        Ok(leaders)
    }
}

impl Said {
    fn hear(&mut self, text: &str) {
        self.rest.push_str(text);
        let Some((whole, rest)) = self.rest.rsplit_once('\n') else { return };
        for line in whole.lines() {
            if line.contains("ops::serve: starting ") {
                self.leads.clear();
            }
            let Some((_, said)) = line.split_once("leadership changed shard.id=") else { continue };
            let Some((shard, leads)) = said.split_once(" leads=") else { continue };
            // The group of the cluster itself has no number.
            let Ok(shard) = shard.parse() else { continue };
            if leads.trim() == "true" {
                self.leads.insert(shard);
            } else {
                self.leads.remove(&shard);
            }
        }
        self.rest = rest.to_owned();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_last_counts_until_the_process_starts_anew() {
        let mut said = Said::default();
        let line = |shard: &str, leads| {
            format!("12:00 DEBUG x: leadership changed shard.id={shard} leads={leads}\n")
        };
        said.hear(&format!("{}{}", line("3", true), line("5", true)));
        said.hear(&format!("{}{}", line("3", false), line("meta", true)));
        assert_eq!(said.leads, BTreeSet::from([5]));
        let (half, other) = ("12:00 DEBUG x: leadership changed shard.id=", "7 leads=true\n");
        said.hear(half);
        said.hear(other);
        assert_eq!(said.leads, BTreeSet::from([5, 7]));
        said.hear("12:01 INFO ops::serve: starting http.address=x\n");
        assert_eq!(said.leads, BTreeSet::new());
    }
}
