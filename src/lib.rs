//! lambda-vpc-controller keeps AWS Lambda functions attached to the VPCs that a file says.
//!
//! ```text
//!            ┌──────────── manager: a task for each scope; file, settings and timers are its triggers ────────────┐
//!  file ──▶ desired ──▶ ┌──────── reconcile::Scope (pure) ────────┐ ──▶ actions ──▶ apply (audit, then the call) ──▶ AWS
//!  AWS  ──▶ live ─────▶ │ handle(event, now) → actions            │ ──▶ board ──▶ metrics · page · log
//!                       └── plan: every decision, from plain data ┘
//! ```
//!
//! Each room imports only rooms that stand before it in this list, and siblings never each other; a test holds it so:
//!
//! - [`text`]: how text from outside is shown
//! - [`names`]: the words as types, parsed once at the edge
//! - [`records`]: where what outlives the process is kept
//! - [`file`](mod@file): reading TOML so that every mistake is reported at once, in its place
//! - [`cloud`]: the only door to AWS: [`cloud::Read`], [`cloud::Write`], and the one table of errors
//! - [`settings`]: what the operator decides
//! - [`desired`] and [`live`]: the file becomes entries, AWS becomes facts; [`rights`]: what IAM must allow for all this
//! - [`plan`]: every decision, pure
//! - [`apply`]: a step becomes a call, behind a journal
//! - [`board`]: how every function stands, and what happened to it
//! - [`reconcile`]: one account and region: what is done about its functions, and when
//! - [`manager`]: the file, the settings, and a task for each account and region
//! - [`telemetry`], [`http`], [`commands`]: what people and programs see
//! - [`simulator`]: an AWS account in memory; it implements [`cloud`] and is used by commands, tests and benches alone
//!
//! What always holds: a decision is made in [`plan`] and nowhere else; what is not known is never taken for absent; an
//! update that would change nothing is never sent; only [`apply`] can change AWS, with two calls. ARCHITECTURE.md says
//! more.

pub mod apply;
pub mod board;
pub mod cloud;
pub mod commands;
pub mod desired;
pub mod file;
pub mod http;
pub mod live;
pub mod manager;
pub mod names;
pub mod plan;
pub mod reconcile;
pub mod records;
pub mod rights;
pub mod settings;
pub mod simulator;
pub mod telemetry;
pub mod text;
