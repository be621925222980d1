//! What the reconciler writes to: the kernel, or a fake of it in tests.

use super::{Change, KernelError, Key, Model, Object};

/// Something that takes changes and tells what it holds.
pub trait Dataplane {
    /// Applies the changes in the given order. One answer per change; a refusal does not stop those after it.
    fn apply(&mut self, changes: &[Change]) -> Vec<Result<(), KernelError>>;

    /// Reads the objects of these keys anew. What it does not have, or cannot show at a bounded cost, is not among
    /// the answers: flood lists with several VTEPs, of more than a few devices in one call; a route that is not the one by
    /// which its first address goes.
    ///
    /// # Errors
    /// It cannot be read. That there is no such object is no error.
    fn read(&mut self, keys: &[Key]) -> Result<Vec<Object>, KernelError>;

    /// Reads everything that it holds.
    fn snapshot(&mut self) -> Result<Model, KernelError>;
}
