//! lambda-vpc-controller

pub mod apply;
pub mod board;
pub mod cloud;
pub mod commands;
pub mod desired;
pub mod engine;
pub mod file;
pub mod http;
pub mod live;
pub mod names;
pub mod plan;
pub mod settings;
pub mod simulator;
pub mod telemetry;
