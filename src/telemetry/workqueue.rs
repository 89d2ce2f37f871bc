//! The metrics of the work queue, under the names and with the meaning that they have in Kubernetes controllers, so that
//! dashboards made for those show this one as well.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus::core::{Collector, Desc};
use prometheus::proto::{Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType};

use crate::engine::{BUCKETS, Durations, QueueStats};
use crate::names::Clock;

const LABEL: (&str, &str) = ("name", "functions");

/// Each metric: its name, its help, its kind.
const METRICS: [(&str, &str, MetricType); 7] = [
    ("workqueue_depth", "Functions that are due and wait for a worker.", MetricType::GAUGE),
    ("workqueue_adds_total", "Functions that were added to the queue.", MetricType::COUNTER),
    (
        "workqueue_queue_duration_seconds",
        "Time that a function waited in the queue before it was worked on.",
        MetricType::HISTOGRAM,
    ),
    ("workqueue_work_duration_seconds", "Time that the work on a function took.", MetricType::HISTOGRAM),
    (
        "workqueue_unfinished_work_seconds",
        "Time that the work in hand has taken so far, all of it together.",
        MetricType::GAUGE,
    ),
    (
        "workqueue_longest_running_processor_seconds",
        "Time that the oldest work in hand has taken so far.",
        MetricType::GAUGE,
    ),
    ("workqueue_retries_total", "Functions that were to come again after a wait.", MetricType::COUNTER),
];

/// Reads what the queue counted when it was last looked at; what is in hand is measured when somebody asks.
#[derive(Clone)]
pub(super) struct Workqueue {
    stats: Arc<Mutex<QueueStats>>,
    descs: Vec<Desc>,
    clock: Clock,
}

impl Workqueue {
    pub(super) fn new(clock: Clock) -> Result<Self, prometheus::Error> {
        let (label, value) = LABEL;
        let labels = HashMap::from([(label.to_owned(), value.to_owned())]);
        let desc = |(name, help, _): &(&str, &str, MetricType)| {
            Desc::new((*name).to_owned(), (*help).to_owned(), Vec::new(), labels.clone())
        };
        let descs = METRICS.iter().map(desc).collect::<Result<_, _>>()?;
        Ok(Self { stats: Arc::default(), descs, clock })
    }

    pub(super) fn turned(&self, stats: QueueStats) {
        *self.stats.lock().unwrap_or_else(PoisonError::into_inner) = stats;
    }

    /// The kind of each metric, by name, for the documentation.
    pub(super) fn kinds() -> impl Iterator<Item = (&'static str, &'static str)> {
        METRICS.into_iter().map(|(name, _, kind)| match kind {
            MetricType::COUNTER => (name, "counter"),
            MetricType::HISTOGRAM => (name, "histogram"),
            _ => (name, "gauge"),
        })
    }
}

impl Collector for Workqueue {
    fn desc(&self) -> Vec<&Desc> {
        self.descs.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let stats = self.stats.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let now = self.clock.now();
        let ages: Vec<f64> = stats.begun.iter().map(|begun| now.since(*begun).as_secs_f64()).collect();
        let value = |name: &str| match name {
            "workqueue_depth" => gauge(whole(stats.depth)),
            "workqueue_adds_total" => counter(stats.adds),
            "workqueue_queue_duration_seconds" => histogram(&stats.queued),
            "workqueue_work_duration_seconds" => histogram(&stats.worked),
            "workqueue_unfinished_work_seconds" => gauge(ages.iter().sum()),
            "workqueue_longest_running_processor_seconds" => gauge(ages.iter().copied().fold(0.0, f64::max)),
            _ => counter(stats.retries),
        };
        METRICS.into_iter().map(|(name, help, kind)| family(name, help, kind, value(name))).collect()
    }
}

fn family(name: &str, help: &str, kind: MetricType, mut metric: Metric) -> MetricFamily {
    let mut label = LabelPair::default();
    label.set_name(LABEL.0.to_owned());
    label.set_value(LABEL.1.to_owned());
    metric.set_label(vec![label]);
    let mut family = MetricFamily::default();
    family.set_name(name.to_owned());
    family.set_help(help.to_owned());
    family.set_field_type(kind);
    family.set_metric(vec![metric]);
    family
}

fn gauge(value: f64) -> Metric {
    let (mut metric, mut gauge) = (Metric::default(), Gauge::default());
    gauge.set_value(value);
    metric.set_gauge(gauge);
    metric
}

fn counter(value: u64) -> Metric {
    let (mut metric, mut counter) = (Metric::default(), Counter::default());
    counter.set_value(whole(value));
    metric.set_counter(counter);
    metric
}

fn histogram(durations: &Durations) -> Metric {
    let (mut metric, mut histogram) = (Metric::default(), Histogram::default());
    let mut so_far = 0;
    let buckets = BUCKETS.iter().zip(durations.counts).map(|(bound, count)| {
        so_far += count;
        let mut bucket = Bucket::default();
        bucket.set_cumulative_count(so_far);
        bucket.set_upper_bound(bound.as_secs_f64());
        bucket
    });
    histogram.set_bucket(buckets.collect());
    histogram.set_sample_count(durations.count);
    histogram.set_sample_sum(durations.sum.as_secs_f64());
    metric.set_histogram(histogram);
    metric
}

/// A count as Prometheus has it. Beyond 2^53 the last digits are lost.
#[allow(clippy::cast_precision_loss, reason = "no count gets there")]
fn whole(count: u64) -> f64 {
    count as f64
}
