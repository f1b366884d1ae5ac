//! Options are made from their defaults by setters, so that more of them may come.

/// `setters! { Options { /// What it does. name: Type, … } }`: a setter for each field of the options.
macro_rules! setters {
    ($options:ty { $($(#[$doc:meta])* $name:ident: $kind:ty,)* }) => {
        impl $options {
            $(
                $(#[$doc])*
                #[must_use]
                pub fn $name(mut self, $name: $kind) -> Self {
                    self.$name = $name;
                    self
                }
            )*
        }
    };
}

pub(crate) use setters;
