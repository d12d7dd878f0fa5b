//! Rows that are written once: a struct, the names of its columns, and how it is read and written, from one list of fields.

use crate::statement::Value;

/// What has columns.
pub(crate) trait Record {
    /// Their names, in the order in which they are read.
    const COLUMNS: &'static [&'static str];
    /// Their values, in the same order.
    fn values(&self) -> Vec<Value>;
}

/// A record: its struct and its columns.
macro_rules! record {
    ($(#[$about:meta])* $vis:vis struct $name:ident { $($(#[$doc:meta])* $field:ident: $type:ty,)+ }) => {
        $(#[$about])*
        #[derive(Clone, Debug, Default, PartialEq)]
        $vis struct $name {
            $($(#[$doc])* pub $field: $type,)+
        }

        impl $crate::record::Record for $name {
            const COLUMNS: &'static [&'static str] = &[$(stringify!($field)),+];

            fn values(&self) -> Vec<$crate::statement::Value> {
                use $crate::values::Field;
                vec![$(self.$field.give()),+]
            }
        }

        impl $crate::session::Read for $name {
            fn read(columns: &mut $crate::session::Columns<'_>) -> Result<Self, $crate::StoreError> {
                use $crate::values::Field;
                Ok(Self { $($field: Field::take(columns)?,)+ })
            }
        }
    };
}
pub(crate) use record;
