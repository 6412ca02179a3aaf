//! Counters read from the text that Prometheus reads.

use anyhow::Context as _;

/// How many records the log took and with how many syncs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LogCounters {
    pub(crate) records: u64,
    pub(crate) syncs: u64,
}

impl LogCounters {
    pub(crate) fn read(exposition: &str) -> anyhow::Result<Self> {
        let read =
            |name| counter(exposition, name).with_context(|| format!("the metrics lack {name}"));
        Ok(Self {
            records: read("omnicart_storage_log_records_total")?,
            syncs: read("omnicart_storage_log_sync_duration_seconds_count")?,
        })
    }

    pub(crate) fn since(self, earlier: Self) -> Self {
        Self {
            records: self.records.saturating_sub(earlier.records),
            syncs: self.syncs.saturating_sub(earlier.syncs),
        }
    }

    pub(crate) fn plus(self, other: Self) -> Self {
        Self { records: self.records + other.records, syncs: self.syncs + other.syncs }
    }
}

/// The value of a counter or a gauge without labels.
pub(crate) fn counter(exposition: &str, name: &str) -> Option<u64> {
    let line = exposition.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
    line.split_whitespace().next()?.parse().ok()
}

/// The values of a counter over all labels, of which one is given.
pub(crate) fn sum(exposition: &str, name: &str, label: &str) -> Option<u64> {
    let values = exposition.lines().filter_map(|line| {
        let (labels, value) = line.strip_prefix(name)?.strip_prefix('{')?.split_once("} ")?;
        let given = labels.split(',').any(|other| other == label);
        if given { value.split_whitespace().next()?.parse::<u64>().ok() } else { None }
    });
    let values: Vec<_> = values.collect();
    (!values.is_empty()).then(|| values.iter().sum())
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;
    use prometheus_client::registry::Registry;

    use super::*;

    #[test]
    fn storage_prints_what_is_read_here() {
        let mut registry = Registry::default();
        let _metrics = storage::metrics::StorageMetrics::register(&mut registry);
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        assert_eq!(LogCounters::read(&text).unwrap(), LogCounters { records: 0, syncs: 0 });
    }

    #[test]
    fn labelled_counters_are_added_up() {
        let text = "a_total{lane=\"x\",direction=\"out\"} 3\na_total{lane=\"y\",direction=\"out\"} 4\n\
                    a_total{lane=\"x\",direction=\"in\"} 9\na_total_more{direction=\"out\"} 5\n";
        assert_eq!(sum(text, "a_total", "direction=\"out\""), Some(7));
        assert_eq!(sum(text, "b_total", "direction=\"out\""), None);
    }

    #[test]
    fn a_counter_is_not_mistaken_for_another() {
        let text = "# HELP a_total x\na_total_more 9\na_total 7\na_count 2 123\n";
        assert_eq!(counter(text, "a_total"), Some(7));
        assert_eq!(counter(text, "a_count"), Some(2));
        assert_eq!(counter(text, "b_total"), None);
        let (earlier, later) =
            (LogCounters { records: 5, syncs: 1 }, LogCounters { records: 9, syncs: 2 });
        assert_eq!(later.since(earlier), LogCounters { records: 4, syncs: 1 });
    }
}
