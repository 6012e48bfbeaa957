#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| nova_fuzz::scrape_query(bytes));
