"""A linear layer with an activation."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

from stlib.base.folder import missing_file
from stlib.base.modules.activations import (
    activation_arguments,
    activation_from_name,
    activation_name,
    halves_width,
    warn_if_foreign,
)
from stlib.base.modules.module import DimensionNames, Module

if TYPE_CHECKING:
    from typing_extensions import Self

# Arguments of the activation in a saved configuration, which names the class alone in earlier generations.
_ARGUMENTS = "activation_function_arguments"


class Dense(DimensionNames, Module):
    """``activation(x W^T + b)`` on one entry of the features dict, to change or reduce its dimension.

    Args:
        in_features: size of the input.
        out_features: size of the output.
        bias: add a learned bias.
        activation_function: applied to the result; None leaves it as it is.
        init_weight: ``[out_features, in_features]`` first value of the weight.
        init_bias: ``[out_features]`` first value of the bias.
        module_input_name: key to read, ``[…, in_features]``.
        module_output_name: key to write; the same one by default.
        use_residual: add the input to the result, through a learned projection without bias if the sizes
            differ.
    """

    without_memory: ClassVar[bool] = True
    ignores_unknown_keys: ClassVar[bool] = True
    config_keys: ClassVar[list[str]] = [
        "in_features",
        "out_features",
        "bias",
        "activation_function",
        "module_input_name",
        "module_output_name",
        "use_residual",
    ]

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        activation_function: Callable[[Tensor], Tensor] | None = nn.Tanh(),  # noqa: B008 - documented default, stateless
        init_weight: Tensor | None = None,
        init_bias: Tensor | None = None,
        module_input_name: str = "sentence_embedding",
        module_output_name: str | None = None,
        use_residual: bool = False,
    ) -> None:
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        self.bias = bias
        self.activation_function = nn.Identity() if activation_function is None else activation_function
        self.linear = nn.Linear(in_features, out_features, bias=bias)
        self.module_input_name = module_input_name
        self.module_output_name = module_output_name or module_input_name
        self.use_residual = use_residual
        if use_residual and in_features != out_features:
            self.residual: nn.Module | None = nn.Linear(in_features, out_features, bias=False)
        else:
            self.residual = nn.Identity() if use_residual else None
        with torch.no_grad():
            if init_weight is not None:
                self.linear.weight.copy_(init_weight)
            if init_bias is not None and bias:
                self.linear.bias.copy_(init_bias)

    def forward(self, features: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        values = features[self.module_input_name]
        result = self.activation_function(self.linear(values))
        features[self.module_output_name] = (
            result if self.residual is None else result + self.residual(values)
        )
        return features

    def get_embedding_dimension(self) -> int:
        """``out_features``; half of it behind an activation that gates one half by the other (GLU)."""
        return self.out_features // 2 if halves_width(self.activation_function) else self.out_features

    def get_config_dict(self) -> dict[str, Any]:
        config = super().get_config_dict()
        config["activation_function"] = activation_name(self.activation_function)
        if arguments := activation_arguments(self.activation_function):
            config[_ARGUMENTS] = arguments
        if not self.use_residual:
            del config["use_residual"]  # unknown to libraries older than the option
        return config

    def save(self, output_path: str, *args: Any, safe_serialization: bool = True, **kwargs: Any) -> None:
        warn_if_foreign(self.activation_function)
        self.save_config(output_path)
        self.save_torch_weights(output_path, safe_serialization=safe_serialization)

    @classmethod
    def load(
        cls,
        model_name_or_path: str,
        subfolder: str = "",
        token: bool | str | None = None,
        cache_folder: str | None = None,
        revision: str | None = None,
        local_files_only: bool = False,
        trust_remote_code: bool = False,
        init_defaults: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> Self:
        """See :meth:`Module.load`; the activation is one of torch's unless ``trust_remote_code``."""
        hub = (token, cache_folder, revision, local_files_only)
        config = {**(init_defaults or {}), **cls.load_config(model_name_or_path, subfolder, None, *hub)}
        if not config:
            raise missing_file(model_name_or_path, subfolder, cls.config_file_name)
        arguments = config.pop(_ARGUMENTS, None)
        if "activation_function" in config:
            config["activation_function"] = activation_from_name(
                config["activation_function"], trust_remote_code, arguments
            )
        config = cls.without_unknown_keys(config, model_name_or_path, subfolder)
        cls.check_sizes(config, model_name_or_path, subfolder, *hub)
        module = cls.from_config(config, model_name_or_path, subfolder)
        return cls.load_torch_weights(model_name_or_path, subfolder, *hub, model=module)
