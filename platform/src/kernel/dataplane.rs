//! What the reconciler writes to: the kernel, or a fake of it in tests.

use super::{Change, KernelError, Model};

/// Something that takes changes and tells what it holds.
pub trait Dataplane {
    /// Applies the changes in the given order. One answer per change; a refusal does not stop those after it.
    fn apply(&mut self, changes: &[Change]) -> Vec<Result<(), KernelError>>;

    /// Reads everything that it holds.
    fn snapshot(&mut self) -> Result<Model, KernelError>;
}
