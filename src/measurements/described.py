"""The columns that say of every row which run and which pruned model it is of."""

import pandas as pd
import pyarrow as pa

from runs.parameters import RunParameters


def described(rows: pd.DataFrame, parameters: RunParameters, run: str) -> pa.Table:
    """A table of ``rows`` with the columns that say which run and which pruned model they are of,
    and the seed where the rows have none of their own."""
    columns = {
        "run": run,
        "model": parameters.model,
        "method": parameters.method,
        "target": parameters.whole_target,
        "amount": parameters.whole_amount,
        "pattern": parameters.whole_pattern,
    }
    seed = {} if "seed" in rows else {"seed": parameters.seed}
    return pa.Table.from_pandas(rows.assign(**columns, **seed), preserve_index=False)
