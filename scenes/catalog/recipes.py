"""Recipes, remembered under their fingerprints."""

from sqlalchemy import Table, select
from sqlalchemy.dialects.postgresql import insert as upsert

from scenes.catalog.connection import ReadSession, WriteSession
from scenes.catalog.tables import caption_recipes, encoder_recipes
from scenes.errors import NotFound
from scenes.recipe import CaptionRecipe, EncoderRecipe


async def remember_caption(session: WriteSession, recipe: CaptionRecipe) -> str:
    """Store a recipe once; returns its fingerprint."""
    return await _remember(session, caption_recipes, recipe)


async def remember_encoder(session: WriteSession, recipe: EncoderRecipe) -> str:
    """Store a recipe once; returns its fingerprint."""
    return await _remember(session, encoder_recipes, recipe)


async def encoder(session: ReadSession, fingerprint: str) -> EncoderRecipe:
    """Raises `NotFound` (`recipe_unknown`)."""
    found = await session.execute(select(encoder_recipes.c.body).where(encoder_recipes.c.fingerprint == fingerprint))
    body = found.scalar_one_or_none()
    if body is None:
        raise NotFound("recipe_unknown", f"no recipe has the fingerprint {fingerprint}")
    return EncoderRecipe.model_validate(body)


async def _remember(session: WriteSession, table: Table, recipe: CaptionRecipe | EncoderRecipe) -> str:
    fingerprint = recipe.fingerprint()
    row = {"fingerprint": fingerprint, "body": recipe.model_dump(mode="json")}
    await session.execute(upsert(table).values(**row).on_conflict_do_nothing())
    return fingerprint
