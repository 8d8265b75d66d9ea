//! `zoo study`

use std::path::PathBuf;

use clap::Args;

/// `zoo study`.
#[derive(Debug, Args)]
#[command(after_help = "\
The study names encoders and ensembles, connectors, amounts of data, seeds and tasks; docs/study.md describes it. Stages \
that runs share are done once, and what is done is not done again: after Ctrl-C or a crash the same command goes on. \
Several processes may work on one folder; --shard divides the runs of a cluster's job array.

Examples:
  zoo study studies/cambrian-mini.toml --dry-run
  zoo study studies/cambrian-mini.toml
  zoo study studies/cambrian-1.toml --shard 3/40
  zoo study studies/cambrian-mini.toml --report-only")]
pub struct StudyArgs {
    /// The study
    #[arg(value_name = "STUDY.toml")]
    pub study: PathBuf,
    /// Say what runs and stages there are and what they would cost, and do nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Do only every N-th run, beginning with the I-th
    #[arg(long, value_name = "I/N", conflicts_with_all = ["dry_run", "report_only"])]
    pub shard: Option<String>,
    /// Write the report of what is done, and do nothing else
    #[arg(long, conflicts_with = "dry_run")]
    pub report_only: bool,
}
