#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| lambda_vpc_controller_fuzz::shown(bytes));
