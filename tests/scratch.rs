#![allow(dead_code)]
mod fuzz_bodies {
    #[path = "/work/w/sim/tests/it/fuzz_bodies/central.rs"] mod central;
    #[path = "/work/w/sim/tests/it/fuzz_bodies/memory.rs"] mod memory;
    #[path = "/work/w/sim/tests/it/fuzz_bodies/script.rs"] mod script;
    pub use central::central;
}
#[path = "/work/w/sim/tests/it/allocations.rs"] mod allocations;
use proptest::prelude::*;
proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]
    #[test]
    fn any_peers(bytes in proptest::collection::vec(any::<u8>(), 0..4096)) { fuzz_bodies::central(&bytes); }
}
#[test] fn corpus() {
    for f in std::fs::read_dir("fuzz/corpus/central").unwrap() { let p = f.unwrap().path(); fuzz_bodies::central(&std::fs::read(p).unwrap()); }
}
