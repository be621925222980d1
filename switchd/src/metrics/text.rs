//! The exposition format of Prometheus, version 0.0.4: families of samples.

use std::fmt::Write;

/// The media type of what [`Text`] writes.
pub(super) const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What a family counts.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    /// Only rises, until the source starts anew. The name ends in `_total`.
    Counter,
    /// Rises and falls.
    Gauge,
}

/// A value.
#[derive(Debug, Clone, Copy)]
pub(super) enum Number {
    Finite(u64),
    Infinite,
}

/// Writes families, each with its help, its type and its samples.
#[derive(Debug, Default)]
pub(super) struct Text(String);

impl Text {
    /// One family. Without samples it is left out: a metric that does not exist here should not look like one.
    pub(super) fn family<'a, L>(
        &mut self,
        name: &str,
        kind: Kind,
        help: &str,
        samples: impl IntoIterator<Item = (L, Number)>,
    ) where
        L: IntoIterator<Item = (&'static str, std::borrow::Cow<'a, str>)>,
    {
        let mut samples = samples.into_iter().peekable();
        if samples.peek().is_none() {
            return;
        }
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        self.write(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
        for (labels, number) in samples {
            self.0.push_str(name);
            let mut separator = '{';
            for (label, value) in labels {
                self.write(format_args!("{separator}{label}=\""));
                self.escape(&value);
                self.0.push('"');
                separator = ',';
            }
            if separator == ',' {
                self.0.push('}');
            }
            match number {
                Number::Finite(number) => self.write(format_args!(" {number}\n")),
                Number::Infinite => self.0.push_str(" +Inf\n"),
            }
        }
    }

    pub(super) fn finish(self) -> String {
        self.0
    }

    fn escape(&mut self, value: &str) {
        for character in value.chars() {
            match character {
                '\\' => self.0.push_str("\\\\"),
                '"' => self.0.push_str("\\\""),
                '\n' => self.0.push_str("\\n"),
                other => self.0.push(other),
            }
        }
    }

    fn write(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a string does not fail.
        let _infallible = self.0.write_fmt(text);
    }
}
