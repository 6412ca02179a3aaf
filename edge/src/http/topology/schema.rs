//! What the cluster in JSON is made of.

use super::{ClusterDocument, NodeChange, ShardChange, ShardsDocument};
use crate::http::schema::{
    Described, Schema, count, integer, list, nullable, object, required, word, words,
};

/// A node's id, of its number and its generation.
fn node() -> Schema {
    count(65_537)
}

fn some(such_as: i64) -> Schema {
    nullable(count(such_as))
}

fn standing() -> Schema {
    word(&["active", "draining", "leaving", "lost", "removed"])
}

impl Described for ClusterDocument {
    fn name() -> String {
        "Cluster".to_owned()
    }

    fn schema() -> Schema {
        object([
            required("answered_by", node()),
            required("incarnation", count(1)),
            required("seq", some(4)),
            required("version", count(3)),
            required("level", count(2)),
            required("current", Schema::Boolean).about(
                "Whether what is agreed could be asked for; else it is what was last heard.",
            ),
            required("complete", Schema::Boolean).about("Whether every node answered."),
            required("unanswered", list(node())),
            required("fault_tolerant", Schema::Boolean),
            required("risk", nullable(words::text("two nodes are too few"))).about("Why not."),
            required("nodes", list(one_node())),
        ])
    }
}

fn one_node() -> Schema {
    let levels = object([required("lowest", count(1)), required("highest", count(2))]);
    object([
        required("id", node()),
        required("number", some(1)),
        required("generation", count(1)),
        required("address", nullable(words::text("node-1.example:7700"))),
        required("zone", nullable(words::text("a"))),
        required("standing", nullable(standing())),
        required("levels", nullable(levels)),
        required("live", Schema::Boolean),
        required("last_heard_ms", some(40)),
        required("unlinked_from", list(node())),
        required("leads", some(22)),
        required("holds", some(64)),
        required("version", nullable(words::text("0.0.0"))),
        required("uptime_ms", some(86_400_000)),
        required("ready", nullable(Schema::Boolean)),
        required("stopping", nullable(Schema::Boolean)),
        required("storage_full", nullable(Schema::Boolean)),
        required("clock_ahead_ms", nullable(integer(i64::MIN, i64::MAX, -1))),
    ])
}

impl Described for ShardsDocument {
    fn name() -> String {
        "Shards".to_owned()
    }

    fn schema() -> Schema {
        object([
            required("answered_by", node()),
            required("current", Schema::Boolean),
            required("complete", Schema::Boolean),
            required("unanswered", list(node())),
            required("data", list(shard())),
            required("has_more", Schema::Boolean),
            required("next_cursor", nullable(words::text("never"))),
        ])
    }
}

fn shard() -> Schema {
    object([
        required("id", count(7)),
        required("meta", Schema::Boolean)
            .about("Whether it is the group that agrees on the cluster."),
        required("leader", nullable(node())),
        required("serving", word(&["yes", "no", "unknown"])),
        required("term", count(3)),
        required("commit", count(8_812)),
        required("applied", count(8_812)),
        required("lag", count(0)),
        required("bytes", count(1_048_576)),
        required("voters", list(node())),
        required("learners", list(node())),
        required("wanted", list(node())),
        required("pin", nullable(node())),
        required("moving", Schema::Boolean),
        required("fenced", Schema::Boolean),
        required("replicas", list(replica())),
    ])
}

fn replica() -> Schema {
    object([
        required("node", node()),
        required("role", word(&["leader", "starting", "voter", "learner", "mute", "silent"])),
        required("term", some(3)),
        required("commit", some(8_812)),
        required("applied", some(8_812)),
        required("last", some(8_812)),
        required("behind", some(0)),
        required("heard_by_leader", nullable(Schema::Boolean)),
        required("pace", nullable(word(&["streaming", "probing", "snapshot"]))),
        required("fenced", nullable(words::text("an entry could not be applied"))),
        required("whole", nullable(Schema::Boolean)),
        required("entities", some(420)),
        required("memory_bytes", some(307_200)),
        required("log_bytes", some(1_048_576)),
        required("snapshot_bytes", some(0)),
        required("clock_doubt_ms", some(0)),
    ])
}

impl Described for NodeChange {
    fn name() -> String {
        "NodeChange".to_owned()
    }

    fn schema() -> Schema {
        object([required("id", node()), required("standing", standing())])
    }
}

impl Described for ShardChange {
    fn name() -> String {
        "ShardChange".to_owned()
    }

    fn schema() -> Schema {
        let to = required("to", nullable(node()));
        object([
            required("id", count(7)),
            to.about("Who is to lead; null where that is left to the cluster."),
        ])
    }
}
