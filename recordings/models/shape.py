"""The shape of a file name as PostgreSQL computes it: the same expressions as `sea.shape`, in the same order."""

from typing import Any

from django.db.models import Func, TextField

from recordings.sea import shape


class Shape(Func):
    """The shape of a key. Made for unparsed rows only: on every row it would cost minutes."""

    template = (
        "(left(replace(regexp_replace(regexp_replace(regexp_replace(regexp_replace("
        "regexp_replace({name}, %(extension)s, ''), %(hex)s, %(mark)s, 'g'), %(letters)s, 'a', 'g'), "
        "%(digits)s, '9', 'g'), %(spaces)s, ' ', 'g'), %(mark)s, 'h'), %(longest)s) "
        "|| coalesce(lower(substring({name} FROM %(extension)s)), ''))"
    ).format(name="regexp_replace(%(expressions)s, %(folders)s, '')")
    output_field = TextField()

    def as_sql(self, compiler: Any, connection: Any, **more: Any) -> Any:
        """Write the expressions out as constants, so that PostgreSQL may compile each once."""
        sql, params = super().as_sql(
            compiler, connection, folders=_text(shape.FOLDERS), extension=_text(shape.EXTENSION), hex=_text(shape.HEX),
            letters=_text(shape.LETTERS), digits=_text(shape.DIGITS), spaces=_text(shape.SPACES),
            mark="chr(127)", longest=str(shape.LONGEST), **more,
        )  # fmt: skip
        return sql, [*params, *params]  # the name is named twice


def _text(pattern: str) -> str:
    """Return an expression as an SQL constant in which nothing is a parameter's mark."""
    return "'" + pattern.replace("'", "''").replace("%", "%%") + "'"
