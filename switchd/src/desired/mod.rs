//! What should be, from what was said: pure, one file per question.

pub mod aggregates;
pub mod fib;
pub mod forwarding;
pub mod networks;
