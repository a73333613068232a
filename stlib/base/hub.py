"""A model's way out: to a folder, or to a repository on the Hugging Face hub."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stlib.base import saving
from stlib.base.loading import CARD_NAME, CONFIG_NAME
from stlib.base.model_card import generate_model_card
from stlib.errors import InvalidOption, ModelNotFound
from stlib.util.decorators import save_to_hub_args_decorator
from stlib.util.older_names import tell_older_name

if TYPE_CHECKING:
    from stlib.base.model import BaseModel


class HubMixin:
    """``save`` and ``push_to_hub`` of every model."""

    def save(
        self: Any,
        path: str | os.PathLike[str] | None,
        model_name: str | None = None,
        create_model_card: bool = True,
        train_datasets: list[str] | None = None,
        safe_serialization: bool = True,
    ) -> None:
        """Write the model to a folder, from which this library and Sentence Transformers load it.

        The files are written beside the folder first and then moved, so that an error leaves what was there.

        Args:
            path: the folder; it is created if need be. None writes nothing, as scripts have it that save on
                one condition only.
            model_name: the model's id, which its card's example names from now on, unless it has one; a path
                that exists is none.
            create_model_card: write ``README.md``; a card the model was loaded with is kept, unless the model
                was trained since.
            train_datasets: names of data sets to list in the card; a card that is kept stays as it is, clear
                ``model.model_card_text`` to have a new one written.
            safe_serialization: write safetensors; False writes torch files.
        """
        if path is None:
            return
        with saving.transaction(Path(path)) as folder:
            saving.save_modules(self._modules, self.module_kwargs, folder, safe_serialization)
            config = json.dumps(self.config_dict(), indent=2, sort_keys=True)
            (folder / CONFIG_NAME).write_text(config, encoding="utf-8")
            if create_model_card:
                card = _card_text(self, Path(path).absolute().name, model_name, train_datasets)
                (folder / CARD_NAME).write_text(card, encoding="utf-8")

    def save_pretrained(
        self,
        path: str | os.PathLike[str] | None,
        model_name: str | None = None,
        create_model_card: bool = True,
        train_datasets: list[str] | None = None,
        safe_serialization: bool = True,
    ) -> None:
        """The same as :meth:`save`."""
        self.save(path, model_name, create_model_card, train_datasets, safe_serialization)

    def push_to_hub(
        self: Any,
        repo_id: str,
        token: str | None = None,
        private: bool | None = None,
        safe_serialization: bool = True,
        commit_message: str | None = None,
        local_model_path: str | os.PathLike[str] | None = None,
        exist_ok: bool = False,
        replace_model_card: bool = False,
        train_datasets: list[str] | None = None,
        revision: str | None = None,
        create_pr: bool = False,
    ) -> str:
        """Upload the model to a repository on the Hugging Face hub, which is created if need be.

        Args:
            repo_id: ``"owner/name"``; a bare name is put under the owner of the token.
            token: access token that may write; default: the stored one.
            private: make a new repository private; None leaves that to the owner's settings.
            safe_serialization: upload safetensors; False uploads torch files.
            commit_message: default: ``"Add new SentenceTransformer model"``.
            local_model_path: upload this folder as it is instead of the model in memory.
            exist_ok: allow a repository that exists; otherwise it is an error.
            replace_model_card: write a new ``README.md`` even if the repository has one.
            train_datasets: names of data sets to list in the card.
            revision: branch to upload to; it is created if need be.
            create_pr: open a pull request instead of changing the branch.

        Returns:
            Address of the commit, or of the pull request.

        Raises:
            ModelNotFound: ``local_model_path`` is no folder.
            OSError: the hub refused, or does not answer.
        """
        from huggingface_hub import HfApi

        if local_model_path is not None and not Path(local_model_path).is_dir():
            raise ModelNotFound(f"local_model_path {str(local_model_path)!r} is no folder; check the path")
        api = HfApi(token=token)
        repo_id = api.create_repo(repo_id, private=private, exist_ok=exist_ok or create_pr).repo_id
        self.model_card_data.set_model_id(repo_id)
        if revision is not None:
            api.create_branch(repo_id, branch=revision, exist_ok=True)
        with tempfile.TemporaryDirectory() as work:
            folder = Path(local_model_path or work)
            if local_model_path is None:
                with_card = replace_model_card or not api.file_exists(repo_id, CARD_NAME, revision=revision)
                self.save(folder, repo_id, with_card, train_datasets, safe_serialization)
            commit = api.upload_folder(
                repo_id=repo_id,
                folder_path=folder,
                revision=revision,
                create_pr=create_pr,
                commit_message=commit_message or _commit_message(self),
                commit_description=_description(self, repo_id) if create_pr else None,
            )
        return str(commit.pr_url if create_pr else commit.commit_url)

    @save_to_hub_args_decorator
    def save_to_hub(
        self,
        repo_id: str,
        organization: str | None = None,
        token: str | None = None,
        private: bool | None = None,
        safe_serialization: bool = True,
        commit_message: str = "Add new model.",
        local_model_path: str | None = None,
        exist_ok: bool = False,
        replace_model_card: bool = False,
        train_datasets: list[str] | None = None,
    ) -> str:
        """Older name of :meth:`push_to_hub`; ``organization`` is the owner, if ``repo_id`` names none.

        Raises:
            InvalidOption: ``repo_id`` names another owner than ``organization``.
        """
        tell_older_name(type(self).__name__, "save_to_hub(…)", "push_to_hub(…)")
        if organization:
            tell_older_name("save_to_hub", "organization", "repo_id='owner/name'")
            owner, slash, name = repo_id.rpartition("/")
            if slash and owner != organization:
                raise InvalidOption(
                    f"repo_id {repo_id!r} and organization {organization!r} name two owners; "
                    "leave organization out"
                )
            repo_id = f"{organization}/{name}"
        return self.push_to_hub(
            repo_id,
            token=token,
            private=private,
            safe_serialization=safe_serialization,
            commit_message=commit_message,
            local_model_path=local_model_path,
            exist_ok=exist_ok,
            replace_model_card=replace_model_card,
            train_datasets=train_datasets,
        )


def _card_text(
    model: BaseModel, folder: str, model_name: str | None, train_datasets: list[str] | None
) -> str:
    data = model.model_card_data
    if data.model_id is None and model_name and not Path(model_name).exists():
        data.set_model_id(model_name)
    if train_datasets:
        data.add_train_datasets(train_datasets)
    return generate_model_card(model, model_name or folder)


def _commit_message(model: BaseModel) -> str:
    backend = model.get_backend()
    suffix = "" if backend == "torch" else f" for the {backend} backend"
    return f"Add new {model.model_type} model{suffix}"


def _description(model: BaseModel, repo_id: str) -> str:
    return f"""This pull request adds the files that load {repo_id} as a {model.model_type}.

```
{model}
```

To try it before it is merged, load the model with `revision="refs/pr/<number of this pull request>"`.
"""
