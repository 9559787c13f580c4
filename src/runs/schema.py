"""The check that every table passes when it is written: the columns, types and values that it has.

The tables themselves stand in :mod:`runs.tables`, one for each kind of result.
"""

import pyarrow as pa
import pyarrow.compute as pc

from runs.columns import Column
from runs.tables import SCHEMAS

__all__ = ["SCHEMAS", "Column", "check"]


def check(name: str, table: pa.Table) -> pa.Table:
    """``table`` with exactly the columns and types of its schema, in their order.

    Raises :class:`ValueError` naming the first column that is missing, unknown, of another
    type, empty where it may not be, or holds a value that is not allowed.
    """
    columns = SCHEMAS[name]
    wanted = [column.name for column in columns]
    if sorted(table.column_names) != sorted(wanted):
        odd = sorted(set(table.column_names) ^ set(wanted))
        raise ValueError(f"table {name}: columns missing or unknown: {', '.join(odd)}")
    arrays = []
    for column in columns:
        array = table.column(column.name)
        try:
            array = array.cast(column.type)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise ValueError(f"table {name}, column {column.name}: {error}") from None
        if array.null_count and not column.nullable:
            raise ValueError(f"table {name}, column {column.name}: {array.null_count} missing")
        if column.allowed:
            found = set(pc.unique(array.cast(pa.string())).to_pylist())
            if not found <= set(column.allowed):
                odd = sorted(found - set(column.allowed))
                raise ValueError(f"table {name}, column {column.name}: {odd} not allowed")
        arrays.append(array)
    return pa.table(arrays, names=wanted)
