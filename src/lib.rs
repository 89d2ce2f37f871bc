//! lambda-vpc-controller

pub mod cloud;
pub mod file;
pub mod names;
pub mod simulator;
