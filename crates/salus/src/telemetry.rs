//! Logs with trace ids, metrics, and traces over OTLP where a collector is
//! configured.

use std::io::IsTerminal as _;

use anyhow::Context as _;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::WithExportConfig as _;
use opentelemetry_sdk::{
    Resource, runtime,
    trace::{SdkTracerProvider, span_processor_with_async_runtime::BatchSpanProcessor},
};
use tracing_subscriber::{
    EnvFilter, Layer as _, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

use crate::config::Telemetry;

/// Keeps the exporters alive; dropping it flushes what they hold.
pub struct Guard {
    provider: Option<SdkTracerProvider>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(provider) = self.provider.take()
            && let Err(error) = provider.shutdown()
        {
            eprintln!("the last traces could not be sent: {error}");
        }
    }
}

pub fn start(settings: &Telemetry) -> anyhow::Result<Guard> {
    let filter = EnvFilter::try_new(&settings.log).context("telemetry.log is no filter")?;
    let provider = if settings.otlp_endpoint.is_empty() {
        None
    } else {
        let exporter = opentelemetry_otlp::SpanExporter::builder()
            .with_http()
            .with_endpoint(format!("{}/v1/traces", settings.otlp_endpoint.trim_end_matches('/')))
            .build()
            .context("the OTLP exporter")?;
        // The exporter's client needs the server's runtime, which a processor
        // on a thread of its own would not have.
        let processor = BatchSpanProcessor::builder(exporter, runtime::Tokio).build();
        Some(
            SdkTracerProvider::builder()
                .with_span_processor(processor)
                .with_resource(Resource::builder().with_service_name("salus").build())
                .build(),
        )
    };
    let traces = provider
        .as_ref()
        .map(|provider| tracing_opentelemetry::layer().with_tracer(provider.tracer("salus")));
    let logs = if settings.log_format == "json" {
        tracing_subscriber::fmt::layer().json().with_writer(std::io::stderr).boxed()
    } else {
        // Colours are for a person at a terminal, not for a file.
        let colours = std::io::stderr().is_terminal();
        tracing_subscriber::fmt::layer().with_ansi(colours).with_writer(std::io::stderr).boxed()
    };
    tracing_subscriber::registry().with(filter).with(traces).with(logs).init();
    Ok(Guard { provider })
}

/// Installs the recorder behind `/metrics`.
pub fn metrics() -> anyhow::Result<PrometheusHandle> {
    let seconds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &seconds)
        .context("the histogram's buckets")?
        .install_recorder()
        .context("the metrics recorder")
}
