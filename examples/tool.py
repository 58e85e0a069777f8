"""A tool of your own: a typed function with a docstring.

It runs by itself with a scripted model, on a home that is thrown away. For a real one leave `model=` out of
Parts and say Agent("ana", model="openai:gpt-4o-mini", ...).
"""

from tempfile import TemporaryDirectory

from pagefault import Agent, tool
from pagefault.assembly import Parts
from pagefault.testing.models import ScriptedModel, call, say


@tool(idempotent=True)  # it only looks something up, so after a crash it may be run again
def price(item: str, count: int = 1) -> dict[str, float]:
    """What an item costs in the shop, in euros."""
    prices = {"apple": 0.4, "pear": 0.6}
    return {
        "euros": round(prices[item] * count, 2)
    }  # a KeyError is told to the model, which can mend its call


SCRIPT = [
    [call("price", item="banana")],  # fails, and a failed call gives control back
    [call("price", item="pear", count=3, heartbeat=True)],
    [say("We have no bananas. Three pears are 1.80 euros.")],
]

with TemporaryDirectory() as home:
    parts = Parts(model=ScriptedModel(SCRIPT), tools=(price,))
    with Agent("shop", home=home, parts=parts) as shop:
        reply = shop.send("What is a banana, and what are three pears?")
        for output in reply.outputs:
            if output.type in ("called", "returned"):
                print(f"  {output.type} {output.name}: {output.text}")
        print(reply.text)
